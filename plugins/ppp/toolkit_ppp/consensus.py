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

from toolkit_ppp.jit import jit
from toolkit_ppp.layout import Triple

TILE = 8
"""Pixels of a row whose windows are filled together: each patch is fetched once for all of them."""


class Voters(NamedTuple):
    """Patches laid out for the sweep, as the kernels take them.

    `rows` `(Z, Y, X)`: which patch is centred at a pixel, −1 for none. Arrays `(n, padded)`: `signed`, p if foreground,
    −(1 − p) if background, 0 if undecided, in units of 1/255; `classes`, +1, −1, 0; `counted`, the pixels that Z_aff
    counts. `ends`: one past the last of them. `t2`: t² for normalised votes, negative for plain ones.
    """

    rows: NDArray[np.int32]
    signed: NDArray[np.int16]
    classes: NDArray[np.int8]
    counted: NDArray[np.uint8]
    ends: NDArray[np.int32]
    patch: Triple
    strides: Triple
    t2: float


class Windows(NamedTuple):
    """The windows of a tile, `(TILE, padded)`: sums and then affinities, Z_aff, and n_ff − n_fb − n_bf."""

    sums: NDArray[np.int32]
    seen: NDArray[np.uint16]
    balance: NDArray[np.int32]


def windows(voters: Voters) -> Windows:
    """Room for the windows of a tile."""
    width = voters.signed.shape[1]
    balance = np.zeros((TILE, width if voters.t2 >= 0 else 1), np.int32)
    return Windows(np.zeros((TILE, width), np.int32), np.zeros((TILE, width), np.uint16), balance)


@jit
def expand(codes: NDArray[np.int16], chosen: NDArray[np.int64], decided: bool, to: Voters) -> None:
    """Lay out the patches `chosen`; the arrays come as zeros. `decided`: Z_aff counts decided pixels only."""
    for k in range(len(chosen)):
        c = 0
        for a in range(to.patch[0]):
            for b in range(to.patch[1]):
                at = a * to.strides[0] + b * to.strides[1]
                for _ in range(to.patch[2]):
                    code = codes[chosen[k], c]
                    if code > 0:
                        to.signed[k, at] = code - 1
                        to.classes[k, at] = 1
                    elif code >= -256 and code < 0:
                        to.signed[k, at] = code + 1
                        to.classes[k, at] = -1
                    if code >= -256 and (code != 0 or not decided):
                        to.counted[k, at] = 1
                        to.ends[k] = at + 1
                    at += 1
                    c += 1


@jit
def add_foreground(window: NDArray[np.int32], signed: NDArray[np.int16], value: np.int32) -> None:
    """Votes of a patch that calls the window's pixel foreground with probability `value`."""
    for i in range(len(window)):
        window[i] += value * signed[i]


@jit
def add_background(window: NDArray[np.int32], signed: NDArray[np.int16], value: np.int32) -> None:
    """Votes of a patch that calls the window's pixel background: only foreground answers."""
    for i in range(len(window)):
        window[i] += value * max(signed[i], np.int16(0))


@jit
def count_all(seen: NDArray[np.uint16], counted: NDArray[np.uint8]) -> None:
    """Z_aff where the window's pixel is foreground."""
    for i in range(len(seen)):
        seen[i] += counted[i]


@jit
def count_foreground(seen: NDArray[np.uint16], classes: NDArray[np.int8]) -> None:
    """Z_aff where the window's pixel is not foreground."""
    for i in range(len(seen)):
        seen[i] += np.uint16(classes[i] > 0)


@jit
def balance_foreground(balance: NDArray[np.int32], classes: NDArray[np.int8]) -> None:
    """n_ff − n_fb of a patch that calls the window's pixel foreground."""
    for i in range(len(balance)):
        balance[i] += classes[i]


@jit
def balance_background(balance: NDArray[np.int32], classes: NDArray[np.int8]) -> None:
    """−n_bf of a patch that calls the window's pixel background."""
    for i in range(len(balance)):
        balance[i] -= np.int32(classes[i] > 0)


@jit
def divide(window: NDArray[np.int32], seen: NDArray[np.uint16]) -> None:
    """Turn votes into affinities in units of 1/16384. One division of exact numbers: the same on every processor."""
    for i in range(len(window)):
        if seen[i] > 0:
            window[i] = np.int32(np.rint(window[i] * 16384.0 / (seen[i] * 65025.0)))
        else:
            window[i] = 0


@jit
def divide_normalised(
    window: NDArray[np.int32], seen: NDArray[np.uint16], balance: NDArray[np.int32], t2: float
) -> None:
    """The same for votes (p·p − t²)/(1 − t²)."""
    for i in range(len(window)):
        if seen[i] > 0:
            votes = (window[i] - 65025.0 * t2 * balance[i]) / (1.0 - t2)
            window[i] = np.int32(np.rint(votes * 16384.0 / (seen[i] * 65025.0)))
        else:
            window[i] = 0


@jit
def fill(z: int, y: int, low: int, high: int, by: Voters, tile: Windows) -> bool:
    """Fill the windows of the pixels `low ≤ x < high` of row (z, y); False if no patch covers them.

    Afterwards `tile.sums` holds affinities; position 0 is the pixel with itself.
    """
    depth, height, width = by.rows.shape
    rz, ry, rx = by.patch[0] // 2, by.patch[1] // 2, by.patch[2] // 2
    normalised = by.t2 >= 0
    tile.sums[:] = 0
    tile.seen[:] = 0
    tile.balance[:] = 0
    found = False
    for cz in range(max(0, z - rz), min(depth, z + rz + 1)):
        for cy in range(max(0, y - ry), min(height, y + ry + 1)):
            base = (z - cz + rz) * by.strides[0] + (y - cy + ry) * by.strides[1]
            for cx in range(max(0, low - rx), min(width, high + rx)):
                k = by.rows[cz, cy, cx]
                if k < 0:
                    continue
                end = by.ends[k]
                for x in range(max(low, cx - rx), min(high, cx + rx + 1)):
                    at = base + x - cx + rx
                    if at >= end:
                        break
                    if by.counted[k, at] == 0:
                        continue
                    found = True
                    i, n = x - low, end - at
                    value = np.int32(by.signed[k, at])
                    classes = by.classes[k, at:end]
                    if by.classes[k, at] > 0:
                        add_foreground(tile.sums[i, :n], by.signed[k, at:end], value)
                        count_all(tile.seen[i, :n], by.counted[k, at:end])
                        if normalised:
                            balance_foreground(tile.balance[i, :n], classes)
                        continue
                    count_foreground(tile.seen[i, :n], classes)
                    if by.classes[k, at] < 0:
                        add_background(tile.sums[i, :n], by.signed[k, at:end], value)
                        if normalised:
                            balance_background(tile.balance[i, :n], classes)
    if found:
        for i in range(high - low):
            if normalised:
                divide_normalised(tile.sums[i], tile.seen[i], tile.balance[i], by.t2)
            else:
                divide(tile.sums[i], tile.seen[i])
    return found
