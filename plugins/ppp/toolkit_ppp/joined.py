"""The patch graph of a whole image, in as few bytes as its edges need: there are more of them than of anything else."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit_ppp.graph import Edges

Ints = NDArray[np.int64]
HALF = np.uint64(32)


@dataclass(frozen=True, eq=False)
class Graph:
    """E edges between N patches of an image, in order of their ends.

    `ends` (E,): first·2³² + second, places of the patches among the N, first < second. `total` (E,) and `count` (E,):
    as in `Edges`, of all pairs of pixels of the image, of which each edge has some.
    """

    ends: NDArray[np.uint64]
    total: Ints
    count: NDArray[np.int32]

    @classmethod
    def of(cls, parts: Iterable[Edges], centres: Ints) -> Graph:
        """The sums of all parts. `centres` (N,): raster indices of the patches, ascending."""
        ends, totals, counts = [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)], [np.zeros(0, np.int32)]
        for part in parts:
            some = part.count > 0
            first, second = (np.searchsorted(centres, e[some]).astype(np.uint64) for e in (part.first, part.second))
            ends.append(first << HALF | second)
            totals.append(part.total[some])
            counts.append(part.count[some].astype(np.int32))
        # No column is held longer than is needed.
        key, total, count = _joined(ends), _joined(totals), _joined(counts)
        order = np.argsort(key, kind="stable")
        key, total, count = key[order], total[order], count[order]
        del order
        fresh = np.flatnonzero(np.append(True, key[1:] != key[:-1])[: len(key)])
        if len(fresh) < len(key):
            key, total, count = key[fresh], np.add.reduceat(total, fresh), np.add.reduceat(count, fresh, dtype=np.int32)
        return cls(key, total, count)

    def strong(self, attracting: bool) -> Graph:
        """The edges that say something: those of weight 0 do not; or only the `attracting` ones."""
        some = self.total > 0 if attracting else self.total != 0
        return self if some.all() else Graph(self.ends[some], self.total[some], self.count[some])

    def nodes(self) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """First and second patch of each edge."""
        return (self.ends >> HALF).astype(np.int32), self.ends.astype(np.uint32).view(np.int32)


def _joined(parts: list[Any]) -> Any:
    whole = np.concatenate(parts)
    parts.clear()
    return whole
