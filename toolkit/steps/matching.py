"""Which predicted object is which true object: sparse overlaps and optimal one-to-one matching."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from toolkit.values import runs
from toolkit.values.instances import Instances
from toolkit.values.truth import Truth

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Measure = Literal["iou", "dice"]


@dataclass(frozen=True, eq=False)
class Match:
    """An optimal one-to-one matching: pairs `(truth[k], predicted[k])` of indices with their IoU, by truth index.

    `fp` and `fn` count the unmatched objects that are not ignored.
    """

    truth: Ints
    predicted: Ints
    iou: NDArray[np.float64]
    fp: int
    fn: int

    @property
    def tp(self) -> int:
        return len(self.truth)


@dataclass(frozen=True, eq=False)
class Overlaps:
    """Sparse overlaps of N true and M predicted objects, outside void.

    Edge e says that true object `truth[e]` and predicted object `predicted[e]` (indices, id − 1) share `shared[e]` ≥ 1
    voxels; edges are sorted by the two indices. Sizes are in voxels outside void. Void voxels count nowhere. An object
    is *ignored* if it is unmatched and lies with more than half of its voxels in void or, for a predicted one, in void
    or unannotated voxels: it is then neither a false positive nor a false negative. Matching comes first, so such an
    object can still be a true positive.
    """

    truth: Ints
    predicted: Ints
    shared: Ints
    truth_sizes: Ints
    predicted_sizes: Ints
    truth_unknown: Bools
    predicted_unknown: Bools
    predicted_known: Ints
    """Voxels of each predicted object that are neither void nor unannotated."""
    known: int
    """Voxels of the image that are neither void nor unannotated."""

    @property
    def nothing(self) -> bool:
        """Neither a true nor a predicted object that counts."""
        return bool(self.truth_unknown.all() and self.predicted_unknown.all())

    @cached_property
    def unions(self) -> Ints:
        """Voxels in one or both objects of each edge."""
        return self.truth_sizes[self.truth] + self.predicted_sizes[self.predicted] - self.shared

    @cached_property
    def iou(self) -> NDArray[np.float64]:
        """IoU of each edge, in (0, 1]."""
        return self.shared / np.maximum(self.unions, 1)

    def best_pairs(self) -> Ints:
        """Edges of the one-to-one matching without a threshold whose summed IoU is largest.

        Of several such matchings the one that shares most voxels: exchanging the sides changes no sum of voxels.
        """
        tie = 1e-9 * self.shared / max(1, self.shared.sum())
        return self._one_to_one(np.arange(len(self.shared)), self.iou + tie, most=False)

    def match(self, percent: int, by: Measure = "iou") -> Match:
        """Match as many pairs as possible at IoU (or Dice) ≥ percent/100, compared as integers, 1 ≤ percent ≤ 100.

        Among the largest matchings it is one with the largest sum of IoU.
        """
        assert 1 <= percent <= 100, f"a threshold of {percent} %"
        if by == "iou":
            edges = np.flatnonzero(100 * self.shared >= percent * self.unions)
        else:
            edges = np.flatnonzero(200 * self.shared >= percent * (self.unions + self.shared))
        edges = self._one_to_one(edges, self.iou)
        i, j = self.truth[edges], self.predicted[edges]
        free_i, free_j = ~self.truth_unknown, ~self.predicted_unknown
        free_i[i], free_j[j] = False, False
        return Match(i, j, self.iou[edges], fp=int(free_j.sum()), fn=int(free_i.sum()))

    def _one_to_one(self, edges: Ints, gain: NDArray[np.float64], most: bool = True) -> Ints:
        """The edges of an optimal matching; solves only where an object has several candidates."""
        i, j = self.truth[edges], self.predicted[edges]
        rival = (np.bincount(i, minlength=1)[i] > 1) | (np.bincount(j, minlength=1)[j] > 1)
        if not rival.any():
            return edges
        # The other edges touch no edge but themselves.
        hard = edges[rival]
        kept = hard[assign(self.truth[hard], self.predicted[hard], gain[hard], most)]
        return np.sort(np.concatenate([edges[~rival], kept]))


def assign(rows: Ints, columns: Ints, gain: NDArray[np.float64], most: bool = True) -> Ints:
    """Edges of a one-to-one matching of largest summed `gain` (each in [0, 1]); `most`: among the largest matchings.

    A shortest-path solution of the sparse assignment problem, in which every row may also take a column of its own:
    for no gain, or with `most` at a price above all the gains together.
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import min_weight_full_bipartite_matching

    row_names, row = np.unique(rows, return_inverse=True)
    column_names, column = np.unique(columns, return_inverse=True)
    n, m = len(row_names), len(column_names)
    alone = np.arange(n)
    # Costs are > 0 because the solver takes a stored zero for no edge.
    cost = np.concatenate([2.0 - gain, np.full(n, 2.0 * n + 2.0 if most else 2.0)])
    graph = csr_array((cost, (np.r_[row, alone], np.r_[column, m + alone])), shape=(n, m + n))
    taken = np.full(n, -1, np.int64)
    at, to = min_weight_full_bipartite_matching(graph)
    taken[at] = to
    return np.flatnonzero(taken[row] == column)


def compare(truth: Truth, predicted: Instances) -> Overlaps:
    """Overlaps of the objects of `truth` and of `predicted`, outside void."""
    anything = truth.void is not None or truth.layers.min(initial=0) < 0
    return overlap(truth.instances, predicted, truth.void, truth.known if anything else None)


def overlap(true: Instances, predicted: Instances, void: Bools | None = None, known: Bools | None = None) -> Overlaps:
    """Overlaps of two sets of objects in images of one shape; time is linear in their runs.

    `known`: neither void nor unannotated (default: everywhere).
    """
    assert true.shape == predicted.shape, f"shapes differ: {true.shape} and {predicted.shape}"
    a, b = _runs(true), _runs(predicted)
    a_unknown, b_unknown = np.zeros(len(true), bool), np.zeros(len(predicted), bool)
    inside, total = predicted.sizes, prod(true.shape)
    if void is not None:
        start, length, _ = runs.of_labels((~void).view(np.uint8))
        a, b = _cut(*a, start, length), _cut(*b, start, length)
        a_unknown = 2 * _sizes(a, len(true)) < true.sizes
    if known is not None:
        start, length, _ = runs.of_labels(known.view(np.uint8))
        inside, total = _sizes(_cut(*_runs(predicted), start, length), len(predicted)), int(length.sum())
        b_unknown = 2 * inside < predicted.sizes
    i, j, shared = runs.shared(a, b, len(predicted))
    return Overlaps(i, j, shared, _sizes(a, len(true)), _sizes(b, len(predicted)), a_unknown, b_unknown, inside, total)


Runs = tuple[Ints, Ints, Ints]
"""`(start, length, index of the object)`."""


def _runs(instances: Instances) -> Runs:
    return instances.start, instances.length.astype(np.int64), instances.owner


def _sizes(some: Runs, count: int) -> Ints:
    return np.bincount(some[2], weights=some[1], minlength=count).astype(np.int64)


def _cut(start: Ints, length: Ints, owner: Ints, keep_start: Ints, keep_length: Ints) -> Runs:
    """The parts of runs inside other runs."""
    parts = [
        (np.maximum(start[i], keep_start[j]), shared, owner[i])
        for i, j, shared in runs.overlaps(start, length, keep_start, keep_length)
    ]
    none = [np.zeros(0, np.int64)]
    begin, size, of = (np.concatenate([part[k] for part in parts] or none) for k in range(3))
    return begin, size, of


def percents(text: str | float | tuple[Any, ...] | list[Any]) -> tuple[int, ...]:
    """Thresholds as whole percents: `.5`, `[.5, .8]` or a range `first:step:last`, all in [.01, 1].

    Raises `ValueError` with a sentence for what is no multiple of .01.
    """
    if isinstance(text, str) and ":" in text:
        try:
            first, step, last = (_percent(part) for part in text.split(":"))
        except ValueError as error:
            raise ValueError(f"a range of thresholds is written .5:.05:.95, not {text!r}") from error
        return tuple(range(first, last + 1, step))
    items = text if isinstance(text, (tuple, list)) else (text,)
    return tuple(dict.fromkeys(_flat(items)))


def _flat(items: tuple[Any, ...] | list[Any]) -> Iterator[int]:
    for item in items:
        if isinstance(item, str) and ":" in item:
            yield from percents(item)
        else:
            yield _percent(item)


def _percent(value: Any) -> int:
    whole = round(100 * float(value))
    if not 1 <= whole <= 100 or abs(100 * float(value) - whole) > 1e-6:
        raise ValueError(f"a threshold is a multiple of .01 from .01 to 1, not {value}")
    return whole
