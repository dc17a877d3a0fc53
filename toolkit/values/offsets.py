"""Pairs of voxels at an offset: x and x + offset."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Offset = tuple[int, ...]
"""In voxels, `(Z)YX`, of either sign."""
Slices = tuple[slice, ...]


def ends(shape: Sequence[int], offset: Sequence[int]) -> tuple[Slices, Slices]:
    """Slices of all x of an array of `shape` such that x + `offset` is in it too, and of these x + `offset`.

    Both are empty where the offset is no smaller than the array.
    """
    starts = [min(n, max(0, -o)) for n, o in zip(shape, offset, strict=True)]
    stops = [max(start, n - max(0, o)) for n, o, start in zip(shape, offset, starts, strict=True)]
    here = tuple(slice(a, b) for a, b in zip(starts, stops, strict=True))
    # An empty slice stays empty wherever it is moved, so its ends must not become negative.
    there = tuple(slice(max(0, a + o), max(0, a + o) + b - a) for a, b, o in zip(starts, stops, offset, strict=True))
    return here, there


def at_offset(mask: NDArray[np.bool_], offset: Sequence[int]) -> NDArray[np.bool_]:
    """`mask[x + offset]` at each x, False where that is beyond the border."""
    found = np.zeros_like(mask)
    here, there = ends(mask.shape, offset)
    found[here] = mask[there]
    return found
