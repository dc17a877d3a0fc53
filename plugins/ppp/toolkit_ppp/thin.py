"""Thin-out: of the pre-selected patches, again and again the one that covers most of what remains (paper, 2.1)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from toolkit.api import jit
from toolkit_ppp.bits import Words, canvas, gain
from toolkit_ppp.layout import Triple

Ints = NDArray[np.int64]


def thin(inside: NDArray[np.bool_], centres: Ints, words: Words, taken: Ints, patch: Triple) -> Ints:
    """Patches that remain of `taken` (indices, best first), in the order in which they are chosen.

    Ties go to the better rank. A lazy heap: gains only shrink, so the top of the heap is right if its gain, counted
    again, has not changed.
    """
    assert len(taken) < 2**31, "a heap entry keeps the rank in 32 bits"
    kept = np.empty(len(taken), np.int64)
    return kept[: _choose(canvas(inside), centres, words, taken, inside.shape, patch, kept)]


@jit
def _sink(heap: Ints, size: int, at: int) -> None:
    """Restore the order of a max-heap below `at`."""
    entry = heap[at]
    while True:
        child = 2 * at + 1
        if child >= size:
            break
        if child + 1 < size and heap[child + 1] > heap[child]:
            child += 1
        if heap[child] <= entry:
            break
        heap[at] = heap[child]
        at = child
    heap[at] = entry


@jit
def _choose(pixels: Words, centres: Ints, words: Words, taken: Ints, shape: Triple, patch: Triple, kept: Ints) -> int:
    size, count = len(taken), 0
    # An entry is the gain, and below it the rank, reversed so that the better rank wins a tie.
    heap = np.empty(size, np.int64)
    low = (1 << 32) - 1
    for rank in range(size):
        k = taken[rank]
        heap[rank] = (gain(pixels, words[k], centres[k], shape, patch, False) << 32) | (low - rank)
    for at in range(size // 2 - 1, -1, -1):
        _sink(heap, size, at)
    while size > 0:
        rank = low - (heap[0] & low)
        k = taken[rank]
        now = gain(pixels, words[k], centres[k], shape, patch, False)
        if now == heap[0] >> 32 and now > 0:
            gain(pixels, words[k], centres[k], shape, patch, True)
            kept[count] = k
            count += 1
            now = 0
        if now > 0:
            heap[0] = (now << 32) | (low - rank)
        else:
            size -= 1
            heap[0] = heap[size]
        if size > 0:
            _sink(heap, size, 0)
    return count
