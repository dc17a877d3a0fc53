"""Non-maximum suppression among some voxels of an image. P voxels, K peaks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from toolkit.values.tiles import Box

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Heights:
    """`value` at each of the voxels with raster `index`, ascending, in an image of `shape`; all others are lower."""

    shape: tuple[int, ...]
    voxel_size: tuple[float, ...]
    index: Ints
    value: Floats

    @classmethod
    def of(
        cls,
        values: NDArray[np.float32],
        above: float,
        box: Box,
        shape: tuple[int, ...],
        voxel_size: tuple[float, ...] = (),
    ) -> Heights:
        """The voxels of `box` above a threshold."""
        place = np.nonzero(values > above)
        index = np.ravel_multi_index([a + s for a, s in zip(place, box.start, strict=True)], shape)
        return cls(shape, voxel_size or (1.0,) * len(shape), index.astype(np.int64), values[place].astype(np.float64))

    @classmethod
    def join(cls, parts: Sequence[Heights]) -> Heights:
        """The sum of the values of blocks, in any order."""
        index, where = np.unique(np.concatenate([p.index for p in parts]), return_inverse=True)
        value = np.concatenate([p.value for p in parts])
        total = np.zeros(len(index))
        np.add.at(total, where, value)
        return cls(parts[0].shape, parts[0].voxel_size, index, total)

    def above(self, threshold: float) -> Heights:
        """Only what is higher."""
        kept = self.value > threshold
        return Heights(self.shape, self.voxel_size, self.index[kept], self.value[kept])


def peaks(heights: Heights, distance: int) -> tuple[Ints, Floats]:
    """Raster index and value `(K,)` of the voxels than which none nearer than `distance` along every axis is higher.

    Of equal ones that are connected by steps shorter than `distance`, the one nearest to their mean stays; ties go to
    the first in raster order.
    """
    left = np.arange(len(heights.index))
    offsets = sorted(product(range(1 - distance, distance), repeat=len(heights.shape)), key=lambda o: np.dot(o, o))
    for offset in offsets[1:]:
        _, here, there = _moved(heights, left, offset)
        lower = np.zeros(len(left), bool)
        lower[here] = heights.value[there] > heights.value[left[here]]
        left = left[~lower]
    return _one_of_each(heights, left, offsets[1:])


def _moved(heights: Heights, of: Ints, offset: tuple[int, ...]) -> tuple[Ints, Ints, Ints]:
    """Pairs of a voxel and the one `offset` away, if it is there: `(position in heights, position in of, that of the
    other in heights)`."""
    place = np.stack(np.unravel_index(heights.index[of], heights.shape)) + np.array(offset)[:, None]
    fits = np.flatnonzero(np.all((place >= 0) & (place < np.array(heights.shape)[:, None]), axis=0))
    wanted = np.ravel_multi_index(tuple(place[:, fits]), heights.shape)
    at = np.minimum(np.searchsorted(heights.index, wanted), max(0, len(heights.index) - 1))
    hit = heights.index[at] == wanted
    return of[fits[hit]], fits[hit], at[hit]


def _one_of_each(heights: Heights, left: Ints, offsets: Sequence[tuple[int, ...]]) -> tuple[Ints, Floats]:
    """One voxel of each plateau among the maxima `left`."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    count = len(left)
    if count == 0:
        return np.zeros(0, np.int64), np.zeros(0)
    number = np.full(len(heights.index), -1)
    number[left] = np.arange(count)
    pairs = [_moved(heights, left, offset)[1:] for offset in offsets] or [(left[:0], left[:0])]
    a, b = (np.concatenate(p) for p in zip(*pairs, strict=True))
    a, b = a[number[b] >= 0], number[b[number[b] >= 0]]
    _, plateau = connected_components(coo_array((np.ones(len(a), bool), (a, b)), shape=(count, count)), directed=False)
    place = np.stack(np.unravel_index(heights.index[left], heights.shape), axis=1)
    size = np.bincount(plateau)
    # Times its size, the distance from the mean is an integer: equal distances are equal.
    total = np.stack([np.bincount(plateau, weights=axis) for axis in place.T], axis=1).astype(np.int64)
    square = ((place * size[plateau, None] - total[plateau]) ** 2).sum(1)
    order = np.lexsort((np.arange(count), square, plateau))
    _, first = np.unique(plateau[order], return_index=True)
    chosen = np.sort(left[order[first]])
    return heights.index[chosen], heights.value[chosen]
