"""Algebra of runs: sets of voxels written as half-open intervals of raster indices that never cross a row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.values.tiles import Box

Ints = NDArray[np.int64]


def of_labels(labels: NDArray[np.integer]) -> tuple[Ints, Ints, NDArray[np.integer]]:
    """Maximal runs of equal positive labels in raster order: `(start, length, label)`."""
    flat, width = np.ascontiguousarray(labels).reshape(-1), labels.shape[-1]
    if flat.size == 0:
        return np.zeros(0, np.int64), np.zeros(0, np.int64), flat
    border = np.empty(flat.size, bool)
    np.not_equal(flat[1:], flat[:-1], out=border[1:])
    border[::width] = True
    start = np.flatnonzero(border)
    length = np.diff(start, append=flat.size)
    keep = flat[start] > 0
    return start[keep], length[keep], flat[start[keep]]


def of_voxels(index: Ints, label: NDArray[Any], width: int) -> tuple[Ints, Ints, NDArray[Any]]:
    """Maximal runs of equal labels of voxels with ascending raster indices, in rows of `width`: `(start, length,
    label)`."""
    fresh = np.ones(len(index), bool)
    fresh[1:] = (label[1:] != label[:-1]) | (np.diff(index) != 1) | (index[1:] % width == 0)
    first = np.flatnonzero(fresh)
    return index[first], np.diff(first, append=len(index)), label[first]


def chunks(length: Ints, most: int) -> Iterator[slice]:
    """Consecutive runs of about `most` voxels, at least one run each."""
    ends, at = np.cumsum(length), 0
    while at < len(length):
        before = int(ends[at - 1]) if at else 0
        stop = max(at + 1, int(np.searchsorted(ends, before + most, side="right")))
        yield slice(at, stop)
        at = stop


def voxels(start: Ints, length: Ints) -> Ints:
    """Raster indices of all voxels of the runs, in the order of the runs."""
    ends = np.cumsum(length)
    total = int(ends[-1]) if len(ends) else 0
    skipped: Ints = np.repeat(start - (ends - length), length)
    return np.arange(total, dtype=np.int64) + skipped


def within(start: Ints, length: Ints, owner: Ints, shape: Sequence[int], box: Box) -> tuple[Ints, Ints, Ints]:
    """Of runs in raster order of an image of `shape`, those in `box`, cut to it: `(start, length, owner)`."""
    plane = prod(shape[1:])
    a, b = np.searchsorted(start, (box.start[0] * plane, box.stop[0] * plane)) if len(shape) > 1 else (0, len(start))
    start, length, owner = start[a:b], length[a:b], owner[a:b]
    if box.start[1:] == (0,) * (len(shape) - 1) and box.stop[1:] == tuple(shape[1:]) and len(shape) > 1:
        return start, length, owner
    at = np.unravel_index(start, tuple(shape))
    low = np.maximum(at[-1], box.start[-1])
    high = np.minimum(at[-1] + length, box.stop[-1])
    some = high > low
    for axis in range(len(shape) - 1):
        some &= (at[axis] >= box.start[axis]) & (at[axis] < box.stop[axis])
    return (start - at[-1] + low)[some], (high - low)[some], owner[some]


def unite(start: Ints, length: Ints, owner: Ints, width: int) -> tuple[Ints, Ints, Ints]:
    """Sort runs by owner and position and join those that overlap or touch within one row and owner."""
    order = np.lexsort((start, owner))
    start, end, owner = start[order], (start + length)[order], owner[order]
    if len(start) == 0:
        return start, end - start, owner
    span = int(end.max()) + 1
    reach = np.maximum.accumulate(owner * span + end)
    here = owner * span + start
    fresh = np.ones(len(start), bool)
    fresh[1:] = (here[1:] > reach[:-1]) | ((here[1:] == reach[:-1]) & (start[1:] % width == 0))
    first = np.flatnonzero(fresh)
    joined_end = np.maximum.reduceat(end, first)
    return start[first], joined_end - start[first], owner[first]


def overlaps(
    a_start: Ints, a_length: Ints, b_start: Ints, b_length: Ints, chunk: int = 4_000_000
) -> Iterator[tuple[Ints, Ints, Ints]]:
    """Pairs of a run of `a` and a run of `b` that share voxels: chunks of `(index in a, index in b, shared voxels)`.

    Both sides may overlap themselves and come in any order. Time is linear in the number of pairs, plus sorting.
    """
    order = np.argsort(a_start, kind="stable")
    begin, end = a_start[order], (a_start + a_length)[order]
    # `reach` never falls, so the first run that can still touch b is found by bisection even if runs of a overlap.
    reach = np.maximum.accumulate(end) if len(end) else end
    low = np.searchsorted(reach, b_start, side="right")
    high = np.searchsorted(begin, b_start + b_length, side="left")
    count = np.maximum(high - low, 0)
    for part in chunks(count, chunk):
        j = np.repeat(np.arange(part.start, part.stop), count[part])
        i = voxels(low[part], count[part])
        shared = np.minimum(end[i], (b_start + b_length)[j]) - np.maximum(begin[i], b_start[j])
        keep = shared > 0
        if keep.any():
            yield order[i[keep]], j[keep], shared[keep]


def shared(a: tuple[Ints, Ints, Ints], b: tuple[Ints, Ints, Ints], width: int) -> tuple[Ints, Ints, Ints]:
    """`(owner in a, owner in b, shared voxels)` of all pairs of owners that share voxels, sorted. `a` and `b` are
    `(start, length, owner)`; owners in b are less than `width`."""
    keys, counts = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for i, j, voxel_count in overlaps(*a[:2], *b[:2]):
        key, total = _total(a[2][i] * width + b[2][j], voxel_count)
        keys.append(key)
        counts.append(total)
    key, total = _total(np.concatenate(keys), np.concatenate(counts))
    return *np.divmod(key, max(1, width)), total


def _total(key: Ints, weight: Ints) -> tuple[Ints, Ints]:
    """Sum of the weights of each distinct key."""
    name, where = np.unique(key, return_inverse=True)
    return name, np.bincount(where, weights=weight, minlength=len(name)).astype(np.int64)
