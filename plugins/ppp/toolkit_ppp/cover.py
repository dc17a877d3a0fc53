"""Pre-selection: from high to low score, the patches that cover foreground which no better one covers (paper, 2.1)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from toolkit.api import jit
from toolkit_ppp.bits import Words, canvas, gain
from toolkit_ppp.layout import Triple

Ints = NDArray[np.int64]


def cover(
    inside: NDArray[np.bool_], centres: Ints, words: Words, ranked: Ints, patch: Triple, steps: tuple[int, ...]
) -> Ints:
    """Patches that are taken, best first.

    `inside` `(Z, Y, X)` is to be covered by the patches at `centres` (raster indices) whose pixels are the bits
    `words`; `ranked` are indices of patches, best first. In one round per step a patch is taken if it covers more new
    pixels than the step.
    """
    taken = np.zeros(len(centres), bool)
    pixels = canvas(inside)
    left = int(inside.sum())
    for step in steps:
        left = _round(pixels, left, centres, words, ranked, inside.shape, patch, step, taken)
    return ranked[taken[ranked]]


@jit
def _round(
    pixels: Words,
    left: int,
    centres: Ints,
    words: Words,
    ranked: Ints,
    shape: Triple,
    patch: Triple,
    step: int,
    taken: NDArray[np.bool_],
) -> int:
    for k in ranked:
        if left == 0:
            break
        if taken[k] or gain(pixels, words[k], centres[k], shape, patch, False) <= step:
            continue
        left -= gain(pixels, words[k], centres[k], shape, patch, True)
        taken[k] = True
    return left
