"""The order in which objects stand, whoever found them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


def canonical(start: Ints, length: Ints, first: Ints, count: Ints, size: Ints, scores: NDArray[np.float32]) -> Ints:
    """Order of the objects by first voxel, then size, then runs; of equal objects the surer one comes first."""
    head = start[first]
    order = np.lexsort((size, head))
    same = (np.diff(head[order]) == 0) & (np.diff(size[order]) == 0)
    tied = np.flatnonzero(np.diff(np.concatenate([[False], same, [False]]).astype(np.int8)))
    for low, high in zip(tied[::2], tied[1::2] + 1, strict=True):

        def key(k: int) -> tuple[list[int], list[int], float]:
            span = slice(first[k], first[k] + count[k])
            return start[span].tolist(), length[span].tolist(), -float(scores[k])

        order[low:high] = sorted(order[low:high], key=key)
    return order


def coloured(count: int, i: Ints, j: Ints) -> Ints:
    """The least colour of each of `count` objects, so that no pair i < j has the same: greedily, in their order."""
    colour = np.zeros(count, np.int64)
    before: dict[int, list[int]] = {}
    for a, b in zip(i.tolist(), j.tolist(), strict=True):
        before.setdefault(b, []).append(a)
    for b in sorted(before):
        taken = {int(colour[a]) for a in before[b]}
        colour[b] = next(c for c in range(len(taken) + 1) if c not in taken)
    return colour
