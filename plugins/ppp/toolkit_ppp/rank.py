"""Scores of patches (Eq 5), exactly, and their order."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.api import Backend, Box, jit, kernels
from toolkit_ppp import panes
from toolkit_ppp.consensus import TILE, Windows, fill, windows
from toolkit_ppp.layout import Triple
from toolkit_ppp.options import Options
from toolkit_ppp.pane import load, split
from toolkit_ppp.panes import Panes
from toolkit_ppp.patches import KERNELS, THREADS, Patches
from toolkit_ppp.threads import run
from toolkit_ppp.voters import Voters

Ints = NDArray[np.int64]


def cpu(patches: Patches, box: Box, options: Options, threads: int) -> Ints:
    """Numerators of Eq 5 in units of 1/16384, of all patches; complete for those whose patch lies inside `box`.

    `box` is in coordinates of the block; its pixels own the pairs that are summed.
    """

    def work(own: Box) -> tuple[Ints, Ints]:
        pane = load(patches, own, options)
        agreement = np.zeros(len(pane.chosen), np.int64)
        agree(pane.start, pane.stop, pane.voters, windows(pane.voters), agreement)
        return pane.chosen, agreement

    total = np.zeros(len(patches.centres), np.int64)
    for chosen, agreement in run(work, split(patches, box, threads), threads):
        total[chosen] += agreement
    return total


def cuda(patches: Patches, box: Box, options: Options, backend: Backend) -> Any:
    """The same on a GPU, where the result stays."""
    xp = backend.xp
    patch, shape = patches.layout.patch, patches.shape
    total = xp.zeros(len(patches.centres), np.int64)
    positions = xp.asarray(patches.layout.positions())
    wanted = (patches.inside[box.slices] > 0) | (not options.sparse)
    module = kernels.load(KERNELS / "rank.cu")

    def use(found: Panes) -> None:
        # Centres ascend: those near the pane lie between the first and the last that may be.
        near = found.pixels.grow([n // 2 for n in patch])
        low, last = (
            (np.array(end) * (shape[1] * shape[2], shape[2], 1)).sum()
            for end in (near.start, tuple(n - 1 for n in near.stop))
        )
        first, end = backend.to_numpy(xp.searchsorted(patches.centres, xp.asarray([low, last + 1]))).tolist()
        module.launch(
            "agree", end - first, THREADS, patches.codes, patches.centres, first, found.slots, found.masks,
            found.affinities, positions, *shape[1:], *found.pixels.start, *found.pane.shape, *patch, found.width,
            total,
        )  # fmt: skip

    panes.fill(patches, box, wanted, options, backend, use)
    return total


def informative_pairs(codes: Any) -> Any:
    """Z_score of each patch: pairs of its pixels of which one or both are foreground."""
    inside = (codes > 0).sum(1, dtype=np.int64)
    covered = (codes >= -256).sum(1, dtype=np.int64)
    return inside * (inside - 1) // 2 + inside * (covered - inside)


def order(agreement: Ints, pairs: Ints) -> Ints:
    """Indices of the patches, highest agreement/pairs first, ties in the given order.

    Exact: the fractions, which lie within ±2³¹, are compared digit by digit, to base 2³¹. Below the second digit two
    different fractions with denominators under 2³⁰ still differ by more than a double resolves.
    """
    pairs = np.maximum(pairs, 1)
    keys, rest = np.divmod(agreement, pairs)
    keys <<= 31
    rest <<= 31
    digit = np.empty_like(rest)
    np.divmod(rest, pairs, out=(digit, rest))
    keys += digit
    del digit  # an image may have more patches than memory has room for such columns
    np.negative(keys, out=keys)
    found = np.argsort(keys, kind="stable")
    ordered = keys[found]
    same = ordered[1:] == ordered[:-1]
    del ordered
    tied = np.flatnonzero(np.append(same, False) | np.append(False, same))
    among = found[tied]
    found[tied] = among[np.lexsort((among, -(rest[among] / pairs[among]), keys[among]))]
    return np.asarray(found, np.int64)


@jit
def dot(
    affinity: NDArray[np.int16], to: np.uint64, classes: NDArray[np.int8], at: np.uint64, n: np.uint64, least: np.int8
) -> np.int32:
    """Σ aff·max(class, least) over n positions: 16-bit factors, which processors multiply two at a time."""
    total = np.int32(0)
    for i in range(n):
        total = np.int32(total + np.int32(affinity[to + i]) * np.int32(max(classes[at + i], least)))
    return total


@jit
def agree(start: Triple, stop: Triple, by: Voters, tile: Windows, agreement: Ints) -> None:
    """Add to `agreement` of each patch its pairs of pixels that are owned by the pixels `start … stop`."""
    depth, height, width = by.rows.shape
    rz, ry, rx = by.patch[0] // 2, by.patch[1] // 2, by.patch[2] // 2
    for z in range(start[0], stop[0]):
        for y in range(start[1], stop[1]):
            for low in range(start[2], stop[2], TILE):
                high = min(stop[2], low + TILE)
                if not fill(z, y, low, high, by, tile):
                    continue
                for cz in range(max(0, z - rz), min(depth, z + rz + 1)):
                    for cy in range(max(0, y - ry), min(height, y + ry + 1)):
                        base = (z - cz + rz) * by.strides[0] + (y - cy + ry) * by.strides[1]
                        for cx in range(max(0, low - rx), min(width, high + rx)):
                            k = by.rows[cz, cy, cx]
                            if k < 0:
                                continue
                            for x in range(max(low, cx - rx), min(high, cx + rx + 1)):
                                at = base + x - cx + rx
                                if at >= by.ends[k]:
                                    break
                                own = by.classes[np.uint64(k * by.width + at)]
                                if own == 0:
                                    continue
                                # The successors of the pixel, in its window and in the patch.
                                to, place = np.uint64((x - low) * by.width + 1), np.uint64(k * by.width + at + 1)
                                n = np.uint64(by.ends[k] - at - 1)
                                # Where the pixel is background only foreground counts, against the patch.
                                least = np.int8(-1) if own > 0 else np.int8(0)
                                total = np.int64(dot(tile.low, to, by.classes, place, n, least))
                                if by.t2 >= 0:
                                    total += np.int64(dot(tile.high, to, by.classes, place, n, least)) << 15
                                agreement[k] += total if own > 0 else -total
