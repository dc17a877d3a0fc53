"""Seeded watershed on a graph of voxels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from toolkit_cpv.graph import Nodes
from toolkit_cpv.jit import jit

Floats = NDArray[np.float32]
Ages = NDArray[np.int64]


@jit
def flood(height: Floats, links: Nodes, seeds: Nodes) -> Nodes:
    """Label of each voxel: from the seeds (labels > 0) on, always the lowest voxel that is reached hands its label to
    its neighbours without one (Meyer 1991).

    `height` `(P,)`, `links` as of `neighbours`. Voxels of one height take turns in the order in which they were
    reached: seeds in raster order, then the neighbours in the order of `links`. What no seed reaches stays 0.
    """
    label = seeds.copy()
    key, age, node = np.empty(1024, np.float32), np.empty(1024, np.int64), np.empty(1024, np.int32)
    size, clock = 0, 0
    for i in range(len(seeds)):
        if seeds[i] == 0:
            continue
        rim = False
        for direction in range(len(links)):
            j = links[direction, i]
            rim |= j >= 0 and seeds[j] == 0
        if rim:
            if size == len(key):
                key, age, node = _longer_floats(key), _longer_ages(age), _longer_nodes(node)
            _push(key, age, node, size, height[i], clock, i)
            size += 1
            clock += 1
    while size > 0:
        i = node[0]
        size -= 1
        _pop(key, age, node, size)
        for direction in range(len(links)):
            j = links[direction, i]
            if j >= 0 and label[j] == 0:
                label[j] = label[i]
                if size == len(key):
                    key, age, node = _longer_floats(key), _longer_ages(age), _longer_nodes(node)
                _push(key, age, node, size, height[j], clock, j)
                size += 1
                clock += 1
    return label


@jit
def _push(key: Floats, age: Ages, node: Nodes, size: int, height: float, clock: int, i: int) -> None:
    """Add to the heap; no age is older than those it holds."""
    at = size
    while at > 0:
        above = (at - 1) // 2
        if key[above] <= height:
            break
        key[at], age[at], node[at] = key[above], age[above], node[above]
        at = above
    key[at], age[at], node[at] = height, clock, i


@jit
def _pop(key: Floats, age: Ages, node: Nodes, size: int) -> None:
    """Remove the top of a heap that holds `size` elements afterwards."""
    height, clock, i = key[size], age[size], node[size]
    at = 0
    while True:
        below = 2 * at + 1
        if below >= size:
            break
        right = below + 1
        if right < size and (key[right] < key[below] or (key[right] == key[below] and age[right] < age[below])):
            below = right
        if key[below] > height or (key[below] == height and age[below] > clock):
            break
        key[at], age[at], node[at] = key[below], age[below], node[below]
        at = below
    if size > 0:
        key[at], age[at], node[at] = height, clock, i


@jit
def _longer_floats(old: Floats) -> Floats:
    new = np.empty(2 * len(old), np.float32)
    new[: len(old)] = old
    return new


@jit
def _longer_ages(old: Ages) -> Ages:
    new = np.empty(2 * len(old), np.int64)
    new[: len(old)] = old
    return new


@jit
def _longer_nodes(old: Nodes) -> Nodes:
    new = np.empty(2 * len(old), np.int32)
    new[: len(old)] = old
    return new
