"""Pairs of images that show the same: as a whole, turned or flipped, or in part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from toolkit.check.fingerprint import Fingerprint

SAME = 0.85
"""Correlation of thumbnails from which on two images show the same. Copies with other intensities, noise or size reach
.9 to 1, the next frame of a slow time series .85 and more; other images of one kind stay below .8."""
COMMON = 3
"""Marks that two images must share to have pixels in common."""

MANY = 50
"""A mark in more images than that is a scale bar or a frame, not a copy."""


@dataclass(frozen=True)
class Twins:
    """Images `first` < `second` (indices); `likeness` is the correlation of their thumbnails, `shared` the share of the
    smaller one's pixels that also occur in the other, as far as its marks tell."""

    first: int
    second: int
    likeness: float
    shared: float

    @property
    def whole(self) -> bool:
        """They show the same as a whole, not just in part."""
        return self.likeness >= SAME


def twins(prints: Sequence[Fingerprint]) -> list[Twins]:
    """All such pairs, in order."""
    alike, shared = _alike(prints), _shared(prints)
    return [Twins(*pair, alike.get(pair, 0.0), shared.get(pair, 0.0)) for pair in sorted({*alike, *shared})]


def _alike(prints: Sequence[Fingerprint], rows: int = 256) -> dict[tuple[int, int], float]:
    """Pairs whose thumbnails agree in one of the eight positions that flips and quarter turns give."""
    found: dict[tuple[int, int], float] = {}
    if len(prints) < 2:
        return found
    stack = np.stack([p.thumbnail for p in prints])
    flat = stack.reshape(len(stack), -1)
    for turned in _positions(stack):
        other = turned.reshape(len(stack), -1)
        for low in range(0, len(stack), rows):
            match = flat[low : low + rows] @ other.T
            for i, j in np.argwhere(match >= SAME).tolist():
                a, b = sorted((low + i, j))
                if a != b:
                    found[a, b] = max(found.get((a, b), 0.0), min(1.0, float(match[i, j])))
    return found


def _positions(stack: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """The thumbnails in eight positions."""
    turns = [np.rot90(stack, k, (1, 2)) for k in range(4)]
    return [*turns, *(turned[:, :, ::-1] for turned in turns)]


def _shared(prints: Sequence[Fingerprint]) -> dict[tuple[int, int], float]:
    """Pairs with marks in common."""
    if not prints:
        return {}
    mark = np.concatenate([p.marks for p in prints])
    owner = np.repeat(np.arange(len(prints)), [len(p.marks) for p in prints])
    order = np.lexsort((owner, mark))
    mark, owner = mark[order], owner[order]
    first = np.flatnonzero(np.concatenate([[True], mark[1:] != mark[:-1]])) if len(mark) else np.zeros(0, np.int64)
    common: dict[tuple[int, int], int] = {}
    for group in np.split(owner, first[1:]):
        if len(group) <= MANY:
            for pair in combinations(group.tolist(), 2):
                common[pair] = common.get(pair, 0) + 1
    return {
        (i, j): min(1.0, n / min(len(prints[i].marks), len(prints[j].marks)))
        for (i, j), n in common.items()
        if n >= COMMON
    }
