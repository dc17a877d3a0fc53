"""Consensus affinities (Eqs 3 and 4) of one tile of pixels at a time, in integers; they are never stored for the image.

Each unordered pair of pixels belongs to the one that comes first in raster order. All patches that cover a pixel y vote
for the window of y, which holds its affinities with its successors; see `Layout` for why that is one contiguous
multiply-add per patch. Votes are sums of products of two bytes, so any order of patches, tiles and threads gives the
same numbers.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from toolkit.api import jit
from toolkit_ppp.voters import Voters

TILE = 8
"""Pixels of a row whose windows are filled together: each patch is fetched once for all of them."""
GROUP = 4
"""Patches of a row that are added to a window together: it is fetched and stored once for all of them."""
FULL = 255 - GROUP
"""Patches after which a sum of bytes is carried into 16 bits."""


Ints = NDArray[np.int64]
Places = NDArray[np.uint64]
"""Positions in flat arrays: without a sign, they need no check for negative ones, and loops over them vectorise."""
VALUE, LEAST, LEVEL = 0, 1, 2
"""What a patch says of a window's pixel: its value, and the least answer and level of other pixels that count."""


class Windows(NamedTuple):
    """The windows of a tile, flat arrays of TILE·width, where window i begins at i·width.

    `sums`: votes and then affinities; `low` and `high`: affinities as `high·2¹⁵ + low`, `high` only where votes are
    normalised, as plain ones fit 16 bits. `seen`: Z_aff. `recent`: the part of it that is not carried yet. `balance`:
    n_ff − n_fb − n_bf.
    """

    sums: NDArray[np.int32]
    low: NDArray[np.int16]
    high: NDArray[np.int16]
    seen: NDArray[np.uint16]
    recent: NDArray[np.uint8]
    balance: NDArray[np.int32]


def windows(by: Voters) -> Windows:
    """Room for the windows of a tile."""
    size = TILE * by.width
    some = size if by.t2 >= 0 else 0
    return Windows(
        np.zeros(size, np.int32), np.zeros(size, np.int16), np.zeros(some, np.int16), np.zeros(size, np.uint16),
        np.zeros(size, np.uint8), np.zeros(some, np.int32),
    )  # fmt: skip


@jit
def add_votes(
    sums: NDArray[np.int32], to: np.uint64, n: np.uint64, signed: NDArray[np.int16], at: Places, said: NDArray[np.int32]
) -> None:
    """Add the votes of four patches, from `at` on, to n sums from `to` on. To background only foreground answers, so
    each answer is at least LEAST."""
    v0, v1, v2, v3 = said[0, VALUE], said[1, VALUE], said[2, VALUE], said[3, VALUE]
    l0, l1, l2, l3 = (
        np.int16(said[0, LEAST]),
        np.int16(said[1, LEAST]),
        np.int16(said[2, LEAST]),
        np.int16(said[3, LEAST]),
    )
    p0, p1, p2, p3 = at[0], at[1], at[2], at[3]
    for i in range(n):
        # Every step is cut to 32 bits, lest it be done in 64, on half as many numbers at once.
        first = np.int32(np.int32(v0 * max(signed[p0 + i], l0)) + np.int32(v1 * max(signed[p1 + i], l1)))
        second = np.int32(np.int32(v2 * max(signed[p2 + i], l2)) + np.int32(v3 * max(signed[p3 + i], l3)))
        sums[to + i] = np.int32(sums[to + i] + np.int32(first + second))


@jit
def count_votes(
    recent: NDArray[np.uint8],
    to: np.uint64,
    n: np.uint64,
    levels: NDArray[np.uint8],
    at: Places,
    said: NDArray[np.int32],
) -> None:
    """Z_aff of four patches: pixels of at least LEVEL count."""
    l0, l1, l2, l3 = (
        np.uint8(said[0, LEVEL]),
        np.uint8(said[1, LEVEL]),
        np.uint8(said[2, LEVEL]),
        np.uint8(said[3, LEVEL]),
    )
    p0, p1, p2, p3 = at[0], at[1], at[2], at[3]
    for i in range(n):
        first = np.uint8(levels[p0 + i] >= l0) + np.uint8(levels[p1 + i] >= l1)
        recent[to + i] += first + np.uint8(levels[p2 + i] >= l2) + np.uint8(levels[p3 + i] >= l3)


@jit
def carry(seen: NDArray[np.uint16], to: np.uint64, n: np.uint64, recent: NDArray[np.uint8]) -> None:
    """Move the recent part of Z_aff into the whole."""
    for i in range(n):
        seen[to + i] += recent[to + i]
        recent[to + i] = 0


@jit
def balance_votes(
    balance: NDArray[np.int32], to: np.uint64, n: np.uint64, classes: NDArray[np.int8], at: np.uint64, level: int
) -> None:
    """n_ff − n_fb of a patch that calls the window's pixel foreground (level 1), −n_bf of one that says background."""
    if level == 1:
        for i in range(n):
            balance[to + i] += classes[at + i]
    elif level == 2 and classes[at] < 0:
        for i in range(n):
            balance[to + i] -= np.int32(classes[at + i] > 0)


@jit
def divide(sums: NDArray[np.int32], seen: NDArray[np.uint16], low: NDArray[np.int16]) -> None:
    """Turn votes into affinities in units of 1/16384. One division of exact numbers: the same on every processor."""
    for i in range(len(sums)):
        if seen[i] > 0:
            sums[i] = np.int32(np.rint(sums[i] * 16384.0 / (seen[i] * 65025.0)))
        low[i] = np.int16(sums[i])


@jit
def divide_normalised(
    sums: NDArray[np.int32],
    seen: NDArray[np.uint16],
    balance: NDArray[np.int32],
    t2: float,
    low: NDArray[np.int16],
    high: NDArray[np.int16],
) -> None:
    """The same for votes (p·p − t²)/(1 − t²)."""
    for i in range(len(sums)):
        if seen[i] > 0:
            votes = (sums[i] - 65025.0 * t2 * balance[i]) / (1.0 - t2)
            sums[i] = np.int32(np.rint(votes * 16384.0 / (seen[i] * 65025.0)))
        low[i] = np.int16(sums[i] & 0x7FFF)
        high[i] = np.int16(sums[i] >> 15)


@jit
def fill(z: int, y: int, low: int, high: int, by: Voters, tile: Windows) -> bool:
    """Fill the windows of the pixels `low ≤ x < high` of row (z, y) with affinities; False if no patch covers them.

    Position 0 of a window is the pixel with itself.
    """
    active = by.wanted[z, y, low:high]
    if not active.any():
        return False
    depth, height, length = by.rows.shape
    rz, ry, rx = by.patch[0] // 2, by.patch[1] // 2, by.patch[2] // 2
    tile.sums[:] = 0
    tile.seen[:] = 0
    tile.recent[:] = 0
    tile.balance[:] = 0
    added = np.zeros(TILE, np.int64)
    found = False
    near = np.empty(high - low + 2 * rx, np.int64)
    columns = np.empty(high - low + 2 * rx, np.int64)
    said = np.zeros((GROUP, 3), np.int32)
    at = np.zeros(GROUP, np.uint64)
    for cz in range(max(0, z - rz), min(depth, z + rz + 1)):
        for cy in range(max(0, y - ry), min(height, y + ry + 1)):
            base = (z - cz + rz) * by.strides[0] + (y - cy + ry) * by.strides[1]
            count = 0
            for cx in range(max(0, low - rx), min(length, high + rx)):
                if by.rows[cz, cy, cx] >= 0:
                    near[count], columns[count] = by.rows[cz, cy, cx], cx - rx
                    count += 1
            for first in range(0, count, GROUP):
                last = min(count, first + GROUP)
                for x in range(max(low, columns[first]), min(high, columns[last - 1] + by.patch[2])):
                    if not active[x - low]:
                        continue
                    longest = _ask(base, x, first, last, near, columns, by, said, at)
                    if longest == 0:
                        continue
                    found = True
                    to, n = np.uint64((x - low) * by.width), np.uint64(longest)
                    add_votes(tile.sums, to, n, by.signed, at, said)
                    count_votes(tile.recent, to, n, by.levels, at, said)
                    if by.t2 >= 0:
                        for g in range(last - first):
                            balance_votes(tile.balance, to, n, by.classes, at[g], said[g, LEVEL])
                    added[x - low] += GROUP
                    if added[x - low] > FULL:
                        carry(tile.seen, to, np.uint64(by.width), tile.recent)
                        added[x - low] = 0
    if found:
        carry(tile.seen, np.uint64(0), np.uint64(len(tile.seen)), tile.recent)
        if by.t2 >= 0:
            divide_normalised(tile.sums, tile.seen, tile.balance, by.t2, tile.low, tile.high)
        else:
            divide(tile.sums, tile.seen, tile.low)
    return found


@jit
def _ask(
    base: int,
    x: int,
    first: int,
    last: int,
    near: Ints,
    columns: Ints,
    by: Voters,
    said: NDArray[np.int32],
    at: Places,
) -> int:
    """Write what each patch of the group `first … last` says of pixel x, and where in it the pixel is; the longest
    stretch of a patch from the pixel on, 0 if none covers it. `base` is the position of the pixel's row in the patches,
    `columns` are where they begin.

    A patch that does not cover the pixel, or is not there, has value 0, and no pixel has level 255.
    """
    longest = 0
    for g in range(GROUP):
        said[g, VALUE], said[g, LEAST], said[g, LEVEL], at[g] = 0, 0, 255, 0
        column = x - columns[first + g] if first + g < last else -1
        if column < 0 or column >= by.patch[2]:
            continue
        k = near[first + g]
        place = np.uint64(k * by.width + base + column)
        if by.levels[place] > 0:
            foreground = by.levels[place] == 2
            at[g], said[g, VALUE] = place, by.signed[place]
            said[g, LEAST], said[g, LEVEL] = (-256, 1) if foreground else (0, 2)
            longest = max(longest, by.ends[k] - base - column)
    return longest
