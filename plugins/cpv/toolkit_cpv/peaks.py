"""Non-maximum suppression among some voxels of an image. P voxels, K peaks."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

from toolkit.api import components

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def peaks(index: Ints, value: Floats, shape: tuple[int, ...], distance: int) -> tuple[Ints, Floats]:
    """Raster index and value `(K,)` of the voxels than which none nearer than `distance` along every axis is higher.

    Voxels have raster `index` `(P,)`, ascending, in an image of `shape`, and `value` `(P,)`; all others are lower.

    Of equal ones that are connected by steps shorter than `distance`, the one nearest to their mean stays; ties go to
    the first in raster order.
    """
    left = np.arange(len(index))
    offsets = sorted(product(range(1 - distance, distance), repeat=len(shape)), key=lambda o: np.dot(o, o))
    for offset in offsets[1:]:
        _, here, there = _moved(index, shape, left, offset)
        lower = np.zeros(len(left), bool)
        lower[here] = value[there] > value[left[here]]
        left = left[~lower]
    return _one_of_each(index, value, shape, left, offsets[1:])


def _moved(index: Ints, shape: tuple[int, ...], of: Ints, offset: tuple[int, ...]) -> tuple[Ints, Ints, Ints]:
    """Pairs of a voxel and the one `offset` away, if it is there: `(position in index, position in of, that of the
    other in index)`."""
    place = np.stack(np.unravel_index(index[of], shape)) + np.array(offset)[:, None]
    fits = np.flatnonzero(np.all((place >= 0) & (place < np.array(shape)[:, None]), axis=0))
    wanted = np.ravel_multi_index(tuple(place[:, fits]), shape)
    at = np.minimum(np.searchsorted(index, wanted), max(0, len(index) - 1))
    hit = index[at] == wanted
    return of[fits[hit]], fits[hit], at[hit]


def _one_of_each(
    index: Ints, value: Floats, shape: tuple[int, ...], left: Ints, offsets: Sequence[tuple[int, ...]]
) -> tuple[Ints, Floats]:
    """One voxel of each plateau among the maxima `left`."""
    count = len(left)
    if count == 0:
        return np.zeros(0, np.int64), np.zeros(0)
    number = np.full(len(index), -1)
    number[left] = np.arange(count)
    pairs = [_moved(index, shape, left, offset)[1:] for offset in offsets] or [(left[:0], left[:0])]
    a, b = (np.concatenate(p) for p in zip(*pairs, strict=True))
    a, b = a[number[b] >= 0], number[b[number[b] >= 0]]
    plateau = components(a, b, count)
    place = np.stack(np.unravel_index(index[left], shape), axis=1)
    size = np.bincount(plateau)
    # Times its size, the distance from the mean is an integer: equal distances are equal.
    total = np.stack([np.bincount(plateau, weights=axis) for axis in place.T], axis=1).astype(np.int64)
    square = ((place * size[plateau, None] - total[plateau]) ** 2).sum(1)
    order = np.lexsort((np.arange(count), square, plateau))
    _, first = np.unique(plateau[order], return_index=True)
    chosen = np.sort(left[order[first]])
    return index[chosen], value[chosen]
