"""Scores of patches (Eq 5), exactly, and their order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from toolkit.tiles import Box
from toolkit_ppp.consensus import TILE, Voters, Windows, fill, windows
from toolkit_ppp.jit import jit
from toolkit_ppp.layout import Triple
from toolkit_ppp.patches import Patches
from toolkit_ppp.sweep import load, pieces, run

if TYPE_CHECKING:
    from toolkit_ppp.patchperpix import PatchPerPix

Ints = NDArray[np.int64]


def cpu(patches: Patches, box: Box, options: PatchPerPix, threads: int) -> Ints:
    """Numerators of Eq 5 in units of 1/16384, of all patches; complete for those whose patch lies inside `box`.

    `box` is in coordinates of the block; its pixels own the pairs that are summed.
    """

    def work(own: Box) -> tuple[Ints, Ints]:
        piece = load(patches, own, options)
        agreement = np.zeros(len(piece.chosen), np.int64)
        # Where patches are sparse only pixels of the foreground have pairs.
        wanted = patches.inside[piece.outer.slices] > 0
        wanted |= not options.sparse
        agree(piece.start, piece.stop, wanted, piece.voters, windows(piece.voters), agreement)
        return piece.chosen, agreement

    total = np.zeros(len(patches.centres), np.int64)
    for chosen, agreement in run(work, pieces(patches, box, threads), threads):
        total[chosen] += agreement
    return total


def informative_pairs(codes: NDArray[np.int16]) -> Ints:
    """Z_score of each patch: pairs of its pixels of which one or both are foreground."""
    inside = (codes > 0).sum(1, dtype=np.int64)
    covered = (codes >= -256).sum(1, dtype=np.int64)
    pairs: Ints = inside * (inside - 1) // 2 + inside * (covered - inside)
    return pairs


def order(agreement: Ints, pairs: Ints) -> Ints:
    """Indices of the patches, highest agreement/pairs first, ties in the given order.

    Exact: the fractions are compared digit by digit, to base 2³¹; below the second digit two different fractions with
    denominators under 2³⁰ still differ by more than a double resolves.
    """
    pairs = np.maximum(pairs, 1)
    whole, rest = np.divmod(agreement, pairs)
    digit, rest = np.divmod(rest << 31, pairs)
    keys = (np.arange(len(pairs)), -(rest / pairs), -digit, -whole)
    return np.asarray(np.lexsort(keys), np.int64)


@jit
def agree_foreground(window: NDArray[np.int32], classes: NDArray[np.int8]) -> np.int32:
    """Σ aff over foreground − Σ aff over background, where the window's pixel is foreground."""
    total = np.int32(0)
    for i in range(len(window)):
        total += window[i] * classes[i]
    return total


@jit
def agree_background(window: NDArray[np.int32], classes: NDArray[np.int8]) -> np.int32:
    """Σ aff over foreground, where the window's pixel is background."""
    total = np.int32(0)
    for i in range(len(window)):
        total += window[i] * np.int32(classes[i] > 0)
    return total


@jit
def agree(start: Triple, stop: Triple, wanted: NDArray[np.bool_], by: Voters, tile: Windows, agreement: Ints) -> None:
    """Add to `agreement` of each patch its pairs of pixels that are owned by the pixels `start … stop`."""
    depth, height, width = by.rows.shape
    rz, ry, rx = by.patch[0] // 2, by.patch[1] // 2, by.patch[2] // 2
    for z in range(start[0], stop[0]):
        for y in range(start[1], stop[1]):
            for low in range(start[2], stop[2], TILE):
                high = min(stop[2], low + TILE)
                if not wanted[z, y, low:high].any() or not fill(z, y, low, high, by, tile):
                    continue
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
                                affinity, answers = tile.sums[x - low, 1 : end - at], by.classes[k, at + 1 : end]
                                if by.classes[k, at] > 0:
                                    agreement[k] += agree_foreground(affinity, answers)
                                elif by.classes[k, at] < 0:
                                    agreement[k] -= agree_background(affinity, answers)
