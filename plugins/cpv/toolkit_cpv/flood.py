"""Seeded watershed on a graph of voxels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from toolkit.api import jit
from toolkit_cpv.graph import Nodes

Keys = NDArray[np.uint64]
CLOCK = np.uint64(32)
"""A key holds the height in its upper and the time in its lower bits: one comparison orders by both."""


def flood(height: NDArray[np.float32], links: Nodes, seeds: Nodes) -> Nodes:
    """Label of each voxel: from the seeds (labels > 0) on, always the lowest voxel that is reached hands its label to
    its neighbours without one (Meyer 1991).

    `height` `(P,)`, `links` as of `neighbours`. Voxels of one height take turns in the order in which they were
    reached: seeds in raster order, then the neighbours in the order of `links`. What no seed reaches stays 0.
    """
    bits = (height.astype(np.float32) + np.float32(0)).view(np.uint32)  # −0 becomes 0
    negative = bits >> np.uint32(31) == 1
    return _flood(np.where(negative, ~bits, bits | np.uint32(1 << 31)), links, seeds)


@jit
def _flood(height: NDArray[np.uint32], links: Nodes, seeds: Nodes) -> Nodes:
    label = seeds.copy()
    reached = np.empty(len(seeds), np.int32)  # which voxel was reached when
    heap = np.empty(1024, np.uint64)
    size, clock = 0, 0
    for i in range(len(seeds)):
        if seeds[i] == 0:
            continue
        rim = False
        for direction in range(len(links)):
            j = links[direction, i]
            rim |= j >= 0 and seeds[j] == 0
        if rim:
            heap = _pushed(heap, size, np.uint64(height[i]) << CLOCK | np.uint64(clock))
            reached[clock] = i
            size += 1
            clock += 1
    while size > 0:
        i = reached[heap[0] & np.uint64(0xFFFFFFFF)]
        size -= 1
        _pop(heap, size)
        for direction in range(len(links)):
            j = links[direction, i]
            if j >= 0 and label[j] == 0:
                label[j] = label[i]
                heap = _pushed(heap, size, np.uint64(height[j]) << CLOCK | np.uint64(clock))
                reached[clock] = j
                size += 1
                clock += 1
    return label


@jit
def _pushed(heap: Keys, size: int, key: np.uint64) -> Keys:
    """The heap, which holds `size` keys, with one more; a longer array where this one is full."""
    if size == len(heap):
        longer = np.empty(2 * size, np.uint64)
        longer[:size] = heap
        heap = longer
    at = size
    while at > 0:
        above = (at - 1) // 4
        if heap[above] < key:
            break
        heap[at] = heap[above]
        at = above
    heap[at] = key
    return heap


@jit
def _pop(heap: Keys, size: int) -> None:
    """Remove the top of a heap that holds `size` keys afterwards; each key has four below it."""
    key = heap[size]
    at = 0
    while 4 * at + 1 < size:
        least = 4 * at + 1
        for below in range(least + 1, min(least + 4, size)):
            if heap[below] < heap[least]:
                least = below
        if heap[least] > key:
            break
        heap[at] = heap[least]
        at = least
    heap[at] = key
