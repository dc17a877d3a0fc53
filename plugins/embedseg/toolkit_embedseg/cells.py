"""Embeddings in cells of CELL voxels, and what grows from seeds in them: compiled.

Everything has three axes; in 2-D the first has extent 1. P pixels.
"""
# Imported only where there is much to do: loading compiled functions takes half a second.

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.api import jit
from toolkit_embedseg.few import CELL, LN2


def binned(voxel: Any, offset: Any, step: Any, cells: Any) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Where each cell begins in the list of pixels cell by cell, and that list."""
    first, member = np.zeros(int(cells.prod()) + 2, np.int64), np.empty(len(voxel), np.int32)
    _binned(voxel, offset, step, cells, first, member)
    return first, member


@jit
def coordinates(start: Any, length: Any, extent: Any, voxel: Any) -> None:
    """As in `few`, without arrays of its own."""
    at = 0
    for r in range(len(start)):
        row, x = divmod(start[r], extent[2])
        z, y = divmod(row, extent[1])
        for k in range(length[r]):
            voxel[at, 0], voxel[at, 1], voxel[at, 2] = z, y, x + k
            at += 1


@jit
def within(start: Any, length: Any, extent: Any, offset: Any, step: Any, low: Any, high: Any, found: Any) -> None:
    """Fill `found` `(P,)`: whether a pixel embeds itself between two corners `(D,)`. `extent` `(D,)`: of the image;
    `offset` `(P, D)`, `step` `(D,)`: in units of the embedding. Without arrays of its own."""
    ndim, at = len(extent), 0
    place = np.zeros(ndim, np.int64)
    for r in range(len(start)):
        left = start[r]
        for axis in range(ndim - 1, -1, -1):
            left, place[axis] = divmod(left, extent[axis])
        for _ in range(length[r]):
            inside = True
            for axis in range(ndim):
                there = place[axis] + np.float64(offset[at, axis]) / step[axis]
                inside = inside and low[axis] <= there < high[axis]
            found[at] = inside
            place[ndim - 1] += 1
            at += 1


@jit
def cell_of(voxel: Any, offset: Any, step: Any, cells: Any, p: int) -> int:
    """The cell in which pixel p embeds itself; beyond the image the nearest."""
    place = 0
    for d in range(3):
        at = np.floor((voxel[p, d] + offset[p, d] / step[d]) / CELL)
        place = place * cells[d] + int(max(0.0, min(float(cells[d] - 1), at)))
    return place


@jit
def _binned(voxel: Any, offset: Any, step: Any, cells: Any, first: Any, member: Any) -> None:
    """Fill `member` with the pixels cell by cell, in raster order in each, and `first` with where a cell begins."""
    for p in range(len(voxel)):
        first[cell_of(voxel, offset, step, cells, p) + 2] += 1
    for c in range(2, len(first)):
        first[c] += first[c - 1]
    for p in range(len(voxel)):
        c = cell_of(voxel, offset, step, cells, p) + 1
        member[first[c]] = p
        first[c] += 1


@jit
def near_to(
    s: int, voxel: Any, offset: Any, inverse: Any, step: Any, cells: Any, member: Any, first: Any, state: Any,
    limit: int, left: Any, near: Any,
) -> int:  # fmt: skip
    """Fill `near` with the pixels that embed themselves near seed s and whose `state` is below `limit`; returns how
    many. `left`: of each cell how many such pixels it has at most, or nothing."""
    size = 0
    low = np.empty(3, np.int64)
    high = np.empty(3, np.int64)
    for d in range(3):
        # A hundredth of a voxel more: the cell of an embedding is computed in another rounding than φ.
        reach = np.sqrt(LN2 / inverse[s, d]) / step[d] if inverse[s, d] > 0 else 0.0
        at = voxel[s, d] + offset[s, d] / step[d]
        low[d] = max(0, min(cells[d] - 1, int(np.floor((at - reach - 0.01) / CELL))))
        high[d] = max(0, min(cells[d] - 1, int(np.floor((at + reach + 0.01) / CELL))))
    for z in range(low[0], high[0] + 1):
        for y in range(low[1], high[1] + 1):
            row = (z * cells[1] + y) * cells[2]
            for c in range(row + low[2], row + high[2] + 1):
                if len(left) > 0 and left[c] == 0:
                    continue
                for m in range(first[c], first[c + 1]):
                    p = member[m]
                    if state[p] >= limit:
                        continue
                    distance = 0.0
                    for d in range(3):
                        gap = (voxel[p, d] - voxel[s, d]) * step[d] + (offset[p, d] - offset[s, d])
                        distance += inverse[s, d] * gap * gap
                    if distance < LN2:
                        near[size] = p
                        size += 1
    return size


@jit
def grow(
    voxel: Any, offset: Any, inverse: Any, step: Any, cells: Any, member: Any, first: Any, seeds: Any,
    min_size: int, overwrite: bool, near: Any, taken: Any, label: Any, chosen: Any,
    count: int,
) -> int:  # fmt: skip
    """Fill `label` and `chosen`, which have `count` instances; returns how many there are then. `near` is room for the
    pixels of a proposal."""
    limit, all_cells = 2 if overwrite else 1, np.zeros(0, np.int32)
    for s in seeds:
        if taken[s]:
            continue
        size = near_to(s, voxel, offset, inverse, step, cells, member, first, taken, limit, all_cells, near)
        free = 0
        for k in range(size):
            if not taken[near[k]] and near[k] != s:
                free += 1
        accepted = size >= min_size and (not overwrite or 2 * free > size)
        for k in range(size):
            taken[near[k]] = True
            if accepted:
                label[near[k]] = count
        if accepted:
            chosen[count] = s
            count += 1
    return count
