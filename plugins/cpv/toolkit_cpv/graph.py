"""Some voxels of an image as a graph over faces. P voxels, E = 2D directions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from toolkit.api import OutOfMemory, jit

Ints = NDArray[np.int64]
Nodes = NDArray[np.int32]


def neighbours(index: Ints, shape: Sequence[int]) -> Nodes:
    """For each of the voxels with raster `index` `(P,)`, ascending, where its face neighbours are in `index`, or −1.

    `(E, P)` int32, the directions in raster order: −z, −y, −x, +x, +y, +z.
    """
    if len(index) > np.iinfo(np.int32).max:
        raise OutOfMemory("the foreground has more than 2³¹ voxels", f"{len(index)} in an image of {tuple(shape)}",
                          "raise postprocess.foreground, or cut the image")  # fmt: skip
    ndim = len(shape)
    found = np.full((2 * ndim, len(index)), -1, np.int32)
    stride = 1
    for axis in reversed(range(ndim)):
        _link(index, stride, shape[axis], found[axis], found[2 * ndim - 1 - axis])
        stride *= shape[axis]
    return found


@jit
def _link(index: Ints, stride: int, size: int, before: Nodes, after: Nodes) -> None:
    """Neighbours along one axis: both sides of each pair are found in one sweep."""
    at = 0
    for i in range(len(index)):
        if (index[i] // stride) % size == size - 1:
            continue
        wanted = index[i] + stride
        while at < len(index) and index[at] < wanted:
            at += 1
        if at < len(index) and index[at] == wanted:
            after[i] = at
            before[at] = i


@jit
def components(chosen: NDArray[np.bool_], links: Nodes) -> Nodes:
    """Connected components of the chosen voxels: 1, 2, … in order of their first voxel, 0 elsewhere."""
    label = np.zeros(len(chosen), np.int32)
    waiting = np.empty(max(1, int(chosen.sum())), np.int32)
    count = 0
    for first in range(len(chosen)):
        if not chosen[first] or label[first] > 0:
            continue
        count += 1
        label[first] = count
        waiting[0] = first
        size = 1
        while size > 0:
            size -= 1
            i = waiting[size]
            for direction in range(len(links)):
                j = links[direction, i]
                if j >= 0 and chosen[j] and label[j] == 0:
                    label[j] = count
                    waiting[size] = j
                    size += 1
    return label
