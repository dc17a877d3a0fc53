"""Crop with a change of scale and an elastic deformation."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from toolkit.training.augment import Sample
from toolkit.values.tiles import Box
from toolkit.values.truth import Truth

SCALE = 1.4
"""Objects appear up to this factor larger or smaller, unless `training.scales` says otherwise."""
BEND = 0.04
"""Root mean square of the elastic displacement, relative to the distance of its control points."""
CONTROL = 48
"""Distance of the control points in voxels of the finest axis; the same in micrometres along the others."""


Scales = tuple[float, float]


def scaled(names: tuple[str, ...], scales: Scales | None) -> Scales | None:
    """From how small to how large objects appear; None for as they are."""
    return scales or ((1 / SCALE, SCALE) if "scale" in names else None)


def margin(shape: tuple[int, ...], names: tuple[str, ...], scales: Scales | None = None) -> tuple[int, ...]:
    """Voxels that `warp` needs around a crop of `shape`."""
    between = scaled(names, scales)
    if between is None and "elastic" not in names:
        return (0,) * len(shape)
    less = max(0.0, 1 / between[0] - 1) / 2 if between else 0
    grown = np.array(shape) * less + (CONTROL / 4 if "elastic" in names else 0)
    return tuple(int(np.ceil(g)) + 1 for g in grown)


def warp(
    sample: Sample,
    shape: tuple[int, ...],
    names: tuple[str, ...],
    rng: np.random.Generator,
    scales: Scales | None = None,
) -> Sample:
    """The middle of `sample`, `shape` voxels, scaled and bent; linear for voxels, nearest for labels."""
    from scipy.ndimage import gaussian_filter, map_coordinates

    ndim = len(shape)
    outer = np.array(sample.truth.shape)
    middle, centre = (outer - 1) / 2, (np.array(shape) - 1) / 2
    between = scaled(names, scales)
    factor = float(np.exp(rng.uniform(*np.log(between)))) if between else 1.0
    bend = _bend(shape, sample.truth.voxel_size, rng) if "elastic" in names else np.zeros((ndim, *shape), np.float32)
    grid = np.stack(np.meshgrid(*(np.arange(n, dtype=np.float32) for n in shape), indexing="ij"))
    column = (-1, *(1,) * ndim)
    where = (grid - centre.reshape(column)) / factor + middle.reshape(column) + bend
    seen = sample.voxels
    if factor < 1 / SCALE:  # far fewer voxels: each stands for those around it, as in a rescaled image
        seen = gaussian_filter(seen, (0, *(0.5 * (factor**-2 - 1) ** 0.5,) * ndim), mode="mirror")
    voxels = np.stack([map_coordinates(c, where, order=1, mode="mirror") for c in seen])
    nearest = np.rint(where).astype(np.int64)
    inside = np.all((nearest >= 0) & (nearest < outer.reshape(column)), axis=0)
    index = tuple(np.clip(axis, 0, n - 1) for axis, n in zip(nearest, outer, strict=True))
    truth = sample.truth
    void = ~inside if truth.void is None else (~inside | truth.void[index])
    layers = np.stack([np.where(inside, layer[index], 0) for layer in truth.layers]).astype(np.int32)
    moved = Truth(layers, void if void.any() else None, truth.voxel_size, truth.ids, truth.centres)
    return Sample(voxels.astype(np.float32), replace(moved, centres=_back(truth.centres, bend, centre, middle, factor)))


def _bend(shape: tuple[int, ...], voxel_size: tuple[float, ...], rng: np.random.Generator) -> NDArray[np.float32]:
    """A smooth displacement field `(D, *shape)` in voxels: cubic splines through independent normal values."""
    apart = CONTROL * min(voxel_size) / np.array(voxel_size)
    knots = np.ceil((np.array(shape) - 1) / apart).astype(int) + 3  # one more on both sides
    field = rng.normal(0, BEND, (len(shape), *knots))
    for axis, (n, distance, count) in enumerate(zip(shape, apart, knots, strict=True)):
        field = np.moveaxis(np.tensordot(_spline(n, float(distance), int(count)), field, (1, axis + 1)), 0, axis + 1)
    return np.stack([bend * distance for bend, distance in zip(field, apart, strict=True)]).astype(np.float32)


@lru_cache(maxsize=16)
def _spline(size: int, apart: float, knots: int) -> NDArray[np.float64]:
    """Weights `(size, knots)` of the cubic spline through knots that are `apart` voxels from each other."""
    from scipy.ndimage import affine_transform

    one = np.eye(knots)
    return np.stack([affine_transform(o, [1 / apart], 1, (size,), order=3, mode="mirror") for o in one], axis=1)


def _back(
    points: NDArray[np.float64],
    bend: NDArray[np.float32],
    centre: NDArray[np.float64],
    middle: NDArray[np.float64],
    factor: float,
) -> NDArray[np.float64]:
    """Where points of the large crop lie in the small one: the inverse of `where`, by fixed-point iteration."""
    limit = np.array(bend.shape[1:]) - 1
    at = (points - middle) * factor + centre
    for _ in range(5):
        index = tuple(np.clip(np.rint(at), 0, limit).astype(int).T)
        at = (points - middle - bend[(slice(None), *index)].T) * factor + centre
    return at


def crop_box(around: NDArray[np.float64], shape: tuple[int, ...], within: tuple[int, ...]) -> Box:
    """A box of `shape` around a point, moved into the image of shape `within` as far as it fits."""
    start = np.rint(around - np.array(shape) / 2).astype(int)
    room = np.array(within) - np.array(shape)
    start = np.where(room >= 0, np.clip(start, 0, np.maximum(room, 0)), room // 2)
    return Box(tuple(int(v) for v in start), tuple(int(v) + n for v, n in zip(start, shape, strict=True)))
