"""Which instances are certain where only a part of the image is known, and what remains open there."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.api import jit
from toolkit_embedseg.cells import binned, cell_of, near_to
from toolkit_embedseg.few import CELL

DOUBTFUL, TAKEN = 1, 2


def certain(
    voxel: NDArray[np.int32],
    offset: NDArray[np.float32],
    inverse: NDArray[np.float32],
    step: NDArray[np.float64],
    extent: NDArray[np.int64],
    seeds: NDArray[np.int64],
    doubtful: NDArray[np.bool_],
    mine: NDArray[np.bool_],
) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.bool_], NDArray[np.bool_]]:
    """Like `greedy.cluster` where some pixels are `doubtful`, because instances that are not seen here may take them.

    A seed that is doubtful, or near a doubtful pixel, makes all pixels doubtful that it would take: nothing is
    concluded from it. What is labelled is labelled so in the whole image, too, whatever its size. Arrays are as
    `few.spread` makes them. Gives the label of each pixel or −1, the seed of each label, the seeds among `mine`
    that remain open, and the pixels that these may take.
    """
    cells = -(-extent // CELL)
    first, member = binned(voxel, offset, step, cells)
    given = (voxel, offset, inverse, step, cells, member, first)
    state = np.where(doubtful, DOUBTFUL, 0).astype(np.uint8)
    label, open_ = np.full(len(voxel), -1, np.int32), np.zeros(len(voxel), np.bool_)
    chosen, near = np.empty(len(seeds), np.int64), np.empty(len(voxel), np.int32)
    count = _settle(*given, seeds, near, state, label, chosen, open_)
    open_ &= mine
    rest = np.zeros(len(voxel), np.bool_)
    _reached(*given, np.flatnonzero(open_), near, state, rest)
    return label, chosen[:count], open_, rest


@jit
def _settle(
    voxel: Any, offset: Any, inverse: Any, step: Any, cells: Any, member: Any, first: Any, seeds: Any,
    near: Any, state: Any, label: Any, chosen: Any, open_: Any,
) -> int:  # fmt: skip
    """Fill `state`, `label`, `chosen` and `open_`; returns the number of labels."""
    count = 0
    left, all_cells = _counted(voxel, offset, step, cells, first, state, 0), np.zeros(0, np.int32)
    for s in seeds:
        if state[s] == TAKEN:
            continue
        doubt = state[s] == DOUBTFUL
        if doubt:  # many seeds of one object are: those after the first find cells where nothing is left
            size = near_to(s, voxel, offset, inverse, step, cells, member, first, state, DOUBTFUL, left, near)
        else:
            size = near_to(s, voxel, offset, inverse, step, cells, member, first, state, TAKEN, all_cells, near)
            for k in range(size):
                doubt = doubt or state[near[k]] == DOUBTFUL
        for k in range(size):
            p = near[k]
            if state[p] == 0:
                left[cell_of(voxel, offset, step, cells, p)] -= 1
            state[p] = DOUBTFUL if doubt else TAKEN
            if not doubt:
                label[p] = count
        if doubt:
            open_[s] = True
        else:
            chosen[count] = s
            count += 1
    return count


@jit
def _reached(
    voxel: Any, offset: Any, inverse: Any, step: Any, cells: Any, member: Any, first: Any, seeds: Any,
    near: Any, state: Any, rest: Any,
) -> None:  # fmt: skip
    """Mark in `rest` the pixels near any of `seeds` that are not taken; their `state` becomes `TAKEN`."""
    left = _counted(voxel, offset, step, cells, first, state, DOUBTFUL)
    for s in seeds:
        size = near_to(s, voxel, offset, inverse, step, cells, member, first, state, TAKEN, left, near)
        for k in range(size):
            p = near[k]
            rest[p] = True
            state[p] = TAKEN
            left[cell_of(voxel, offset, step, cells, p)] -= 1


@jit
def _counted(voxel: Any, offset: Any, step: Any, cells: Any, first: Any, state: Any, most: int) -> Any:
    """How many pixels of a state of `most` at most embed themselves in each cell."""
    left = np.zeros(len(first), np.int32)
    for p in range(len(voxel)):
        if state[p] <= most:
            left[cell_of(voxel, offset, step, cells, p)] += 1
    return left
