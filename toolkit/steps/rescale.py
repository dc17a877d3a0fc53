"""Another grid of voxels for the network: the image is resampled before it, its objects come back after it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, log2
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.values import attributes, runs
from toolkit.values.image import Image
from toolkit.values.instances import Instances

STEPS = 8
"""Factors are powers of the `STEPS`-th root of 2, so that near sizes are seen alike."""
Ints = NDArray[np.int64]


def stepped(factor: float) -> float:
    """The nearest factor that is used."""
    return float(2 ** (round(STEPS * log2(factor)) / STEPS))


def rescaled(shape: Sequence[int], by: Sequence[float]) -> tuple[int, ...]:
    """Shape of an image of `shape` after rescaling."""
    return tuple(ceil(n * b) for n, b in zip(shape, by, strict=True))


def rescale(image: Image, by: Sequence[float]) -> Image:
    """A lazy image of `by` times as many voxels per axis, float32.

    The centre of voxel j lies at `(j + 1/2) / by - 1/2` of the image; the filter is a triangle, `max(1, 1 / by)` voxels
    of the image to both sides. So a voxel depends on its place alone, whatever is read with it.
    """
    if all(b == 1 for b in by):
        return image
    size = tuple(s / b for s, b in zip(image.voxel_size, by, strict=True))
    source = _Resampled(image.source, tuple(by), (image.channels, *rescaled(image.shape, by)))
    return replace(image, source=source, voxel_size=size)


def restore(instances: Instances, by: Sequence[float], shape: Sequence[int]) -> Instances:
    """Objects of a rescaled image in the image of `shape` that it was made from: a voxel is in the objects in which the
    rescaled voxel is that its centre lies in. Objects without any such voxel vanish."""
    if all(b == 1 for b in by):
        return instances
    edges = [_edges(n, m, b) for n, m, b in zip(shape, instances.shape, by, strict=True)]
    *rows, column = np.unravel_index(instances.start, instances.shape)
    first, stop = edges[-1][column], edges[-1][column + instances.length]
    pick = np.arange(len(first))
    places: list[Ints] = []
    for edge, row in zip(edges, rows, strict=False):
        low = edge[row[pick]]
        copies = edge[row[pick] + 1] - low
        again = np.repeat(np.arange(len(pick)), copies)
        pick, places = pick[again], [*(p[again] for p in places), runs.voxels(low, copies)]
    start = np.ravel_multi_index((*places, np.minimum(first[pick], shape[-1] - 1)), tuple(shape)).astype(np.int64)
    there = attributes.moved(instances.attributes, (0,) * len(by), tuple(1 / b for b in by))
    return Instances.from_runs(shape, start, (stop - first)[pick], instances.owner[pick], instances.scores, there)


def _edges(size: int, small: int, by: float) -> Ints:
    """For each rescaled voxel the first voxel whose centre lies in it or beyond; then `size`."""
    found: Ints = np.clip(np.ceil(np.arange(small + 1) / by - 0.5), 0, size).astype(np.int64)
    found[-1] = size
    return found


def _taps(span: slice, size: int, by: float) -> tuple[Ints, NDArray[np.float32]]:
    """Which voxels of `size` the rescaled voxels of `span` are made of, `(n, taps)`, and their weights."""
    reach = max(1.0, 1 / by)
    centre = (np.arange(span.start, span.stop) + 0.5) / by - 0.5
    index = np.floor(centre - reach).astype(np.int64)[:, None] + np.arange(1, ceil(2 * reach) + 1)
    weight = np.maximum(0, 1 - abs(index - centre[:, None]) / reach) * ((index >= 0) & (index < size))
    return np.clip(index, 0, size - 1), (weight / weight.sum(1, keepdims=True)).astype(np.float32)


@dataclass(frozen=True, eq=False)
class _Resampled:
    source: Any
    by: tuple[float, ...]
    shape: tuple[int, ...]

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.float32)

    def __getitem__(self, key: tuple[slice, ...]) -> NDArray[np.float32]:
        spans = [slice(*k.indices(n)) for k, n in zip(key[1:], self.shape[1:], strict=True)]
        if any(s.stop <= s.start for s in spans):
            return np.zeros((self.shape[0], *(max(0, s.stop - s.start) for s in spans)), np.float32)[key[0]]
        taps = [_taps(s, n, b) for s, n, b in zip(spans, self.source.shape[1:], self.by, strict=True)]
        fine = tuple(slice(int(i.min()), int(i.max()) + 1) for i, _ in taps)
        voxels = np.asarray(self.source[(slice(None), *fine)])[key[0]].astype(np.float32)
        for axis, ((index, weight), part) in enumerate(zip(taps, fine, strict=True), start=1):
            column = (-1, *(1,) * (voxels.ndim - 1 - axis))
            made = np.zeros((*voxels.shape[:axis], len(index), *voxels.shape[axis + 1 :]), np.float32)
            for i, w in zip(index.T - part.start, weight.T, strict=True):  # in one order, for any part the same sums
                made += np.take(voxels, i, axis=axis) * w.reshape(column)
            voxels = made
        return voxels
