"""Which runs of voxels are near each other, and what they are connected to."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

from toolkit.values import runs
from toolkit.values.tiles import Box

Ints = NDArray[np.int64]


def near(start: Ints, length: Ints, shape: Sequence[int], reach: int = 1) -> tuple[Ints, Ints]:
    """Pairs of runs of an image of `shape` that `reach` steps from voxel to face neighbour lead from one to the other;
    each once, in any order."""
    width, rows = shape[-1], shape[:-1]
    row, column = np.divmod(start, width)
    place = np.unravel_index(row, rows) if rows else ()
    found = [np.zeros((2, 0), np.int64)]
    for offset in product(range(reach + 1), *(range(-reach, reach + 1) for _ in rows[1:])) if rows else [()]:
        ahead = offset > (0,) * len(offset)
        wide = reach - sum(map(abs, offset))
        if wide < 0 or not (ahead or offset == (0,) * len(offset)):
            continue
        there = np.ones(len(start), bool)
        for at, step, size in zip(place, offset, rows, strict=True):
            there &= (at + step >= 0) & (at + step < size)
        some = np.flatnonzero(there)
        step = sum(o * int(np.prod(shape[axis + 1 :])) for axis, o in enumerate(offset))
        low, high = np.maximum(column[some] - wide, 0), np.minimum(column[some] + length[some] + wide, width)
        moved = row[some] * width + step + low
        for i, j, _ in runs.overlaps(moved, high - low, start, length):
            pair = np.stack([some[i], j])
            found.append(pair if ahead else pair[:, pair[0] < pair[1]])
    i, j = np.concatenate(found, axis=1)
    return i, j


def components(i: Ints, j: Ints, count: int) -> Ints:
    """The connected component of each of `count` things of which i and j are connected, in the order of their first.

    Of two components the one of the later thing is hooked to the other, all pairs at once, until none are left: as
    quick as what scipy has for it, whose import takes a quarter of a second. O(pairs) memory."""
    root = np.arange(count)
    while True:
        a, b = root[i], root[j]
        apart = np.flatnonzero(a != b)
        if not len(apart):
            return np.unique(root, return_inverse=True)[1].astype(np.int64)
        i, j, a, b = i[apart], j[apart], a[apart], b[apart]
        np.minimum.at(root, np.maximum(a, b), np.minimum(a, b))
        while not np.array_equal(above := root[root], root):
            root = above


def connected(start: Ints, length: Ints, shape: Sequence[int], reach: int = 1) -> Ints:
    """The connected component of each of the runs, which are in raster order, numbered by first voxel. With a longer
    `reach`, what so many steps lead to is connected, too."""
    label = components(*near(start, length, shape, reach), len(start))
    _, first, inverse = np.unique(label, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse].astype(np.int64)


def rim(start: Ints, length: Ints, shape: Sequence[int], core: Box, reach: int) -> NDArray[np.bool_]:
    """Which runs are not `reach` voxels inside of the faces of `core` that lie inside of the image, or not in it."""
    at = np.unravel_index(start, tuple(shape))
    found = np.zeros(len(start), bool)
    for axis, (low, high, size) in enumerate(zip(core.start, core.stop, shape, strict=True)):
        long = length if axis == len(shape) - 1 else 1
        if low > 0:
            found |= at[axis] < low + reach
        if high < size:
            found |= at[axis] + long > high - reach
    return found
