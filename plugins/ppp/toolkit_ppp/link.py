"""Link selected patches: sum the affinities of every pair of their pixels (Eq 6), pixel by pixel."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from toolkit.api import jit
from toolkit_ppp.consensus import TILE, Windows, fill
from toolkit_ppp.layout import Triple
from toolkit_ppp.voters import Voters

Ints = NDArray[np.int64]
COUNT = 16
"""Bits that hold a number of voxels of a patch, which has at most `options.MAX_VOXELS`."""


class Nodes(NamedTuple):
    """Selected patches around a pane, as the kernels take them.

    `rows` says which is centred at a pixel of the pane grown by a margin, `where` (n, 3) is its place there. `members`
    (n, C) uint8. Node i has the neighbours `neighbours[starts[i]:starts[i + 1]]`, ascending: all that a pair of pixels
    at most `reach` apart could link it to; `total` and `pairs`, their sum and number, stand at the same places.
    """

    rows: NDArray[np.int32]
    where: Ints
    members: NDArray[np.uint8]
    starts: Ints
    neighbours: NDArray[np.int32]
    reach: Triple
    total: Ints
    pairs: Ints


class Lines(NamedTuple):
    """The members of the nodes' patches as runs `begin … end` along the rows of the patches: those of row r of node i
    are `first[i·rows + r] … first[i·rows + r + 1]`."""

    first: Ints
    begin: NDArray[np.int32]
    end: NDArray[np.int32]


def lines(members: NDArray[np.uint8], patch: Triple) -> Lines:
    """The runs of members `(n, C)`."""
    steps = np.diff(np.pad(members.reshape(-1, patch[2]).view(np.int8), ((0, 0), (1, 1))), axis=1)
    row, begin = np.nonzero(steps > 0)
    first = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.bincount(row, minlength=len(steps)))])
    return Lines(first, begin.astype(np.int32), np.nonzero(steps < 0)[1].astype(np.int32))


@jit
def find_neighbours(
    rows: NDArray[np.int32], where: Ints, far: Triple, starts: Ints, neighbours: NDArray[np.int32]
) -> None:
    """Count the neighbours of each node into `starts[1:]`, or, where there is room for them, write them."""
    for i in range(len(where)):
        at = starts[i]
        count = 0
        for z in range(max(0, where[i, 0] - far[0]), min(rows.shape[0], where[i, 0] + far[0] + 1)):
            for y in range(max(0, where[i, 1] - far[1]), min(rows.shape[1], where[i, 1] + far[1] + 1)):
                for x in range(max(0, where[i, 2] - far[2]), min(rows.shape[2], where[i, 2] + far[2] + 1)):
                    j = rows[z, y, x]
                    if j >= 0 and j != i:
                        if len(neighbours):
                            neighbours[at + count] = j
                        count += 1
        if not len(neighbours):
            starts[i + 1] = count


@jit
def link(
    start: Triple, stop: Triple, shift: Triple, by: Voters, tile: Windows, to: Nodes, held_in: Lines, in_range: bool,
    self_pairs: bool,
) -> None:  # fmt: skip
    """Add to `to.total` and `to.pairs` the pairs that are owned by the pixels `start … stop`.

    `shift` leads from the frame of the voters to that of the nodes. `in_range` counts pairs without a consensus too.
    """
    near = np.empty(len(to.where), np.int32)
    holding = np.empty(len(to.where), np.int32)
    reached = np.empty(len(to.where), np.int32)
    before = np.empty(by.patch[0] * (2 * by.patch[1] - 1) * 2 * by.patch[2], np.int64)
    sums = np.empty(len(to.where), np.int64)
    pairs = np.empty(len(to.where), np.int64)
    for z in range(start[0], stop[0]):
        for y in range(start[1], stop[1]):
            for low in range(start[2], stop[2], TILE):
                high = min(stop[2], low + TILE)
                first = (z + shift[0], y + shift[1], low + shift[2])
                candidates = near[: _near(first, high - low, to, by.patch, near)]
                if not _any_member(first, high - low, candidates, to, by.patch) or not fill(z, y, low, high, by, tile):
                    continue
                for x in range(low, high):
                    pixel = (z + shift[0], y + shift[1], x + shift[2])
                    held = 0
                    for i in candidates:
                        if _holds(pixel, i, to, by.patch):
                            holding[held] = i
                            held += 1
                    if held == 0:
                        continue
                    here = slice((x - low) * by.width, (x - low + 1) * by.width)
                    window, observed = tile.sums[here], tile.seen[here]
                    _summed(window, observed, by.patch, by.strides, before)
                    linked = 0
                    for j in candidates:
                        sums[linked], pairs[linked] = _with_node(pixel, j, to, held_in, by.patch, in_range, before)
                        if pairs[linked] > 0:
                            reached[linked] = j
                            linked += 1
                    alone = observed[0] > 0 and self_pairs
                    own = np.int64(window[0]) if alone else np.int64(0)
                    for h in range(held):
                        _add(to, holding[h], reached[:linked], sums, pairs)
                        if alone or in_range:
                            # (v, v) is one pair of two nodes, though each of them holds it.
                            _add_alone(to, holding[h], holding[h + 1 : held], own)


@jit
def _near(first: Triple, width: int, to: Nodes, patch: Triple, near: NDArray[np.int32]) -> int:
    """Write the nodes that hold a pixel of the tile or a successor in reach of it, ascending; their number."""
    found = 0
    depth, height, length = to.rows.shape
    rz, ry, rx = patch[0] // 2, patch[1] // 2, patch[2] // 2
    for z in range(max(0, first[0] - rz), min(depth, first[0] + to.reach[0] + rz + 1)):
        for y in range(max(0, first[1] - to.reach[1] - ry), min(height, first[1] + to.reach[1] + ry + 1)):
            for x in range(max(0, first[2] - to.reach[2] - rx), min(length, first[2] + width + to.reach[2] + rx)):
                if to.rows[z, y, x] >= 0:
                    near[found] = to.rows[z, y, x]
                    found += 1
    return found


@jit
def _holds(pixel: Triple, node: int, to: Nodes, patch: Triple) -> bool:
    """Whether the pixel is in the foreground of the node's patch."""
    a = pixel[0] - to.where[node, 0] + patch[0] // 2
    b = pixel[1] - to.where[node, 1] + patch[1] // 2
    c = pixel[2] - to.where[node, 2] + patch[2] // 2
    if a < 0 or a >= patch[0] or b < 0 or b >= patch[1] or c < 0 or c >= patch[2]:
        return False
    return bool(to.members[node, (a * patch[1] + b) * patch[2] + c] > 0)


@jit
def _any_member(first: Triple, width: int, near: NDArray[np.int32], to: Nodes, patch: Triple) -> bool:
    """Whether some node holds some pixel of the tile."""
    for x in range(width):
        for i in near:
            if _holds((first[0], first[1], first[2] + x), i, to, patch):
                return True
    return False


@jit
def _summed(
    window: NDArray[np.int32], observed: NDArray[np.uint16], patch: Triple, strides: Triple, sums: NDArray[np.int64]
) -> None:
    """Write the sums of the affinities of a pixel with its successors before each offset of a row, row after row from
    the first negative offset on; their number stands in the last `COUNT` bits."""
    for dz in range(patch[0]):
        for dy in range(0 if dz == 0 else 1 - patch[1], patch[1]):
            at = (dz * (2 * patch[1] - 1) + dy + patch[1] - 1) * 2 * patch[2]
            position = dz * strides[0] + dy * strides[1]
            total = np.int64(0)
            for dx in range(1 - patch[2], patch[2]):
                sums[at] = total
                at += 1
                if position + dx > 0 and observed[position + dx] > 0:
                    total += (np.int64(window[position + dx]) << COUNT) + 1
            sums[at] = total


@jit
def _with_node(
    pixel: Triple, node: int, to: Nodes, lines: Lines, patch: Triple, in_range: bool, sums: NDArray[np.int64]
) -> tuple[np.int64, np.int64]:
    """Sum of the affinities of the pixel with its successors in the node's patch, and their number."""
    found, every = np.int64(0), np.int64(0)
    # Offset from the pixel to the first voxel of the patch.
    oz = to.where[node, 0] - patch[0] // 2 - pixel[0]
    oy = to.where[node, 1] - patch[1] // 2 - pixel[1]
    ox = to.where[node, 2] - patch[2] // 2 - pixel[2]
    for dz in range(max(0, oz), min(to.reach[0] + 1, oz + patch[0])):
        for dy in range(max(0 if dz == 0 else 1 - patch[1], oy), min(to.reach[1] + 1, oy + patch[1])):
            row = (node * patch[0] + dz - oz) * patch[1] + dy - oy
            at = (dz * (2 * patch[1] - 1) + dy + patch[1] - 1) * 2 * patch[2] + patch[2] - 1
            for k in range(lines.first[row], lines.first[row + 1]):
                low, high = ox + lines.begin[k], ox + lines.end[k]
                if in_range:
                    nearest = 1 if dz == 0 and dy == 0 else 1 - patch[2]
                    every += max(0, min(high, to.reach[2] + 1) - max(low, nearest))
                low, high = max(low, 1 - patch[2]), min(high, patch[2])
                if low < high and dz < patch[0] and dy < patch[1]:
                    found += sums[at + high] - sums[at + low]
    return found >> COUNT, every if in_range else found & ((1 << COUNT) - 1)


@jit
def _add(to: Nodes, node: int, reached: NDArray[np.int32], sums: Ints, pairs: Ints) -> None:
    """Add the sums with each reached node to the entries of `node`; both lists ascend."""
    at = to.starts[node]
    for n in range(len(reached)):
        if reached[n] != node:
            while to.neighbours[at] < reached[n]:
                at += 1
            to.total[at] += sums[n]
            to.pairs[at] += pairs[n]


@jit
def _add_alone(to: Nodes, node: int, others: NDArray[np.int32], affinity: np.int64) -> None:
    """Add one pair, of a pixel with itself, to the entries of `node` for the `others`, which ascend."""
    at = to.starts[node]
    for other in others:
        while to.neighbours[at] < other:
            at += 1
        to.total[at] += affinity
        to.pairs[at] += 1
