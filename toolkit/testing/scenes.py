"""Generated images with known objects, 2-D and 3-D: touching blobs and crossing worms."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from toolkit.values.image import Image
from toolkit.values.instances import Instances
from toolkit.values.truth import Truth


@dataclass(frozen=True, eq=False)
class Scene:
    """An image and the objects in it."""

    image: Image
    truth: Truth

    @property
    def shape(self) -> tuple[int, ...]:
        return self.image.shape

    @property
    def instances(self) -> Instances:
        return self.truth.instances


GAP = 64


def blobs(
    shape: tuple[int, ...], count: int = 6, radius: tuple[float, float] = (5.0, 8.0), seed: int = 0, channels: int = 1
) -> Scene:
    """Up to `count` ellipsoids of `radius` (least, most) voxels that may touch and never overlap."""
    rng = np.random.default_rng(seed)
    labels = np.zeros(shape, np.int32)
    nearest = np.full(shape, np.inf)
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    for label, centre in enumerate(_spread(rng, shape, count, 0.85 * sum(radius)), start=1):
        # An object thicker than a thin volume would be cut on both sides, and its shape lost.
        axes = np.minimum(rng.uniform(*radius, len(shape)), np.array(shape) / 2)
        distance = (((grid - centre) / axes) ** 2).sum(axis=-1)
        labels[(distance < 1) & (distance < nearest)] = label
        nearest = np.minimum(nearest, distance)
    return _scene(labels[None], rng, channels)


def worms(shape: tuple[int, ...], count: int = 3, radius: float = 3.0, seed: int = 0, channels: int = 1) -> Scene:
    """`count` curved tubes through the middle of the image that cross and overlap."""
    rng = np.random.default_rng(seed)
    size = np.array(shape)
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    along = np.linspace(-0.45, 0.45, 2 * int(size.max()))[:, None]
    planes = []
    for turn in range(count):
        angle = np.pi * (turn + rng.uniform(0, 0.4)) / count
        heading = np.zeros(len(shape))
        heading[-2:] = np.sin(angle), np.cos(angle)
        aside = np.zeros(len(shape))
        aside[-2:] = np.cos(angle), -np.sin(angle)
        bend = rng.uniform(0.03, 0.08) * np.sin(2 * np.pi * along + rng.uniform(0, 2 * np.pi))
        path = size / 2 + (along * heading + bend * aside) * size
        distance = np.full(shape, np.inf)
        for point in path:
            distance = np.minimum(distance, ((grid - point) ** 2).sum(axis=-1))
        planes.append(distance < radius**2)
    labels = np.stack([plane * np.int32(k) for k, plane in enumerate(planes, start=1)])
    return _scene(labels, rng, channels)


def lopsided(
    shape: tuple[int, ...], count: int = 6, radius: tuple[float, float] = (5.0, 8.0), seed: int = 0, channels: int = 1
) -> Scene:
    """Blobs at both ends of an image whose last axis is longer by `GAP` voxels without any."""
    ends = [blobs(shape, count, radius, seed + n, channels).truth.layers for n in range(2)]
    empty = np.zeros((1, *shape[:-1], GAP), np.int32)
    other = np.where(ends[1] > 0, ends[1] + ends[0].max(), 0)
    layers = np.concatenate([ends[0], empty, other], axis=-1).astype(np.int32)
    return _scene(layers, np.random.default_rng(seed), channels)


def repeated(scene: Scene, times: int) -> Scene:
    """The same `times` side by side along the last axis, as other objects each time."""
    layers, most = scene.truth.layers, scene.truth.layers.max()
    beside = np.concatenate([np.where(layers > 0, layers + n * most, layers) for n in range(times)], axis=-1)
    image = Image.from_array(np.tile(scene.image.read(), times), scene.image.axes, name=scene.image.name)
    return Scene(image, Truth.from_layers(beside))


def sealed(truth: Truth) -> Truth:
    """The same truth, whose arrays refuse to be written into, as they do in a training."""
    for array in (truth.layers, truth.void, truth.ids, truth.centres):
        if array is not None:
            array.flags.writeable = False
    return truth


def empty(shape: tuple[int, ...], seed: int = 0, channels: int = 1) -> Scene:
    """Noise without objects."""
    return _scene(np.zeros((1, *shape), np.int32), np.random.default_rng(seed), channels)


Draw = Callable[..., Scene]
SHAPES = {2: (48, 56), 3: (12, 40, 36)}
"""Shapes of scenes for tests, by number of axes."""


def examples(ndims: tuple[int, ...], draw: Draw = blobs, channels: int = 1) -> Iterator[Scene]:
    """One scene for each number of axes."""
    for ndim in ndims:
        radius = {} if draw is empty else {"radius": 2.5} if draw is worms else {"radius": (5.0, 7.0), "count": 5}
        yield draw(SHAPES[ndim], channels=channels, seed=ndim, **radius)


def _spread(rng: np.random.Generator, shape: tuple[int, ...], count: int, apart: float) -> list[NDArray[np.float64]]:
    """Up to `count` points, no two nearer than `apart`."""
    points: list[NDArray[np.float64]] = []
    for _ in range(50 * count):
        point = rng.uniform(0.15, 0.85, len(shape)) * np.array(shape)
        if all(np.linalg.norm(point - other) >= apart for other in points):
            points.append(point)
        if len(points) == count:
            break
    return points


def _scene(layers: NDArray[np.int32], rng: np.random.Generator, channels: int) -> Scene:
    """An 8-bit image in which objects are bright, blurred and noisy, overlaps brighter."""
    from scipy.ndimage import gaussian_filter

    clean = gaussian_filter((layers > 0).sum(axis=0).astype(np.float64), 0.7)
    noisy = 30 + 70 * clean[None] + rng.normal(0, 6, (channels, *clean.shape))
    voxels = np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
    image = Image.from_array(voxels, "C" + "ZYX"[-clean.ndim :], name="scene")
    return Scene(image, Truth.from_layers(layers))
