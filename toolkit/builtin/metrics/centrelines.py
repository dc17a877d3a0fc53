"""How the centrelines of true and predicted objects run through each other."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from toolkit.builtin.metrics.cldice import skeleton
from toolkit.steps.matching import Overlaps, compare
from toolkit.values import runs
from toolkit.values.instances import Instances
from toolkit.values.truth import Truth

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Lines:
    """Centreline voxels of objects: raster index and index of the object, outside void."""

    voxel: Ints
    owner: Ints
    sizes: Ints

    @classmethod
    def of(cls, objects: Instances, void: NDArray[np.bool_] | None) -> Lines:
        """The centreline of each object; one whose skeleton vanishes keeps all its voxels."""
        voxel, owner = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        for k in range(len(objects)):
            box, mask = objects.mask(k)
            if void is not None:
                mask &= ~void[box.slices]
            thin = skeleton(mask)
            place = np.nonzero(thin if thin.any() else mask)
            here = tuple(x + low for x, low in zip(place, box.start, strict=True))
            index = np.ravel_multi_index(here, objects.shape).astype(np.int64)
            voxel.append(index)
            owner.append(np.full(len(index), k, np.int64))
        of = np.concatenate(owner)
        return cls(np.concatenate(voxel), of, np.bincount(of, minlength=len(objects)).astype(np.int64))

    def inside(self, objects: Instances) -> tuple[Ints, Ints]:
        """`(index of the line voxel, index of the object it lies in)`; a voxel may lie in several."""
        parts = [
            (i, objects.owner[j])
            for i, j, _ in runs.overlaps(
                self.voxel, np.ones(len(self.voxel), np.int64), objects.start, objects.length.astype(np.int64)
            )
        ]
        none = [np.zeros(0, np.int64)]
        return np.concatenate([p[0] for p in parts] or none), np.concatenate([p[1] for p in parts] or none)


@dataclass(frozen=True, eq=False)
class Centrelines:
    """Pairs of a true and a predicted object of which one runs through the other, with precision and recall."""

    truth: Truth
    overlaps: Overlaps
    lines: Lines
    at: Ints
    """Incidence: index of a true line voxel …"""
    by: Ints
    """… that lies in this predicted object."""
    true: Ints
    seen: Ints
    precision: Floats
    recall: Floats
    iou: Floats
    """IoU of each pair, which breaks ties."""

    @cached_property
    def dice(self) -> Floats:
        """clDice of each pair."""
        both = self.precision + self.recall
        return np.divide(2 * self.precision * self.recall, both, out=np.zeros(len(both)), where=both > 0)

    def greedy(self) -> tuple[Ints, Floats]:
        """Pairs matched one to one, best clDice first (ties: best IoU, lower indices), and their clDice."""
        true_taken: set[int] = set()
        seen_taken: set[int] = set()
        kept = []
        for e in np.lexsort((self.seen, self.true, -self.iou, -self.dice)).tolist():
            i, j = int(self.true[e]), int(self.seen[e])
            if self.dice[e] > 0 and i not in true_taken and j not in seen_taken:
                true_taken.add(i)
                seen_taken.add(j)
                kept.append(e)
        pairs = np.array(kept, np.int64)
        return pairs, self.dice[pairs]

    def coverage(self) -> Floats:
        """Share of each true centreline inside the union of the predictions that belong to it.

        A prediction belongs to the true object with which its precision is best (ties: best clDice, best IoU, lower
        index).
        """
        home = np.full(len(self.overlaps.predicted_sizes), -1, np.int64)
        for e in np.lexsort((-self.true, self.iou, self.dice, self.precision)).tolist():
            if self.precision[e] > 0:
                home[self.seen[e]] = self.true[e]
        covered = np.zeros(len(self.lines.voxel), bool)
        covered[self.at[home[self.by] == self.lines.owner[self.at]]] = True
        n = len(self.lines.sizes)
        return np.bincount(self.lines.owner, weights=covered, minlength=n) / np.maximum(self.lines.sizes, 1)

    def splits_and_merges(self, above: float) -> tuple[int, int]:
        """Partners beyond the first of true and of predicted objects, pairs taken by recall > `above`, best first
        (ties: best clDice, best IoU, lower indices).

        A pair uses up the true centreline that the predicted object covers, for all predictions, and the voxels of the
        predicted object in the true one, for all true objects.
        """
        true = self.truth.instances
        owner, place = self.lines.owner[self.at], self.lines.voxel[self.at]
        alive = np.ones(len(self.at), bool)
        matched: set[tuple[int, int]] = set()
        pairs = list(zip(self.true.tolist(), self.seen.tolist(), strict=True))
        rank = dict(zip(pairs, zip(self.dice.tolist(), self.iou.tolist(), strict=True), strict=True))
        while True:
            score = {
                (i, j): float((alive & (owner == i) & (self.by == j)).sum() / self.lines.sizes[i])
                for i, j in pairs
                if (i, j) not in matched and self.lines.sizes[i]
            }
            best = max(score, key=lambda p: (score[p], rank[p], -p[0], -p[1]), default=None)
            if best is None or score[best] <= above:
                break
            i, j = best
            matched.add(best)
            used = np.isin(self.at, self.at[(owner == i) & (self.by == j)])
            alive &= ~used & ~((self.by == j) & np.isin(place, true.voxels(i)))
        partners = np.array(sorted(matched), np.int64).reshape(-1, 2)
        splits, merges = (int((np.bincount(side) - 1).clip(0).sum()) for side in partners.T)
        return splits, merges


def centrelines(truth: Truth, predicted: Instances) -> Centrelines:
    """The centrelines of both sides and the pairs that they make."""
    true = truth.instances
    mine, theirs = Lines.of(true, truth.void), Lines.of(predicted, truth.void)
    at, by = mine.inside(predicted)
    width = max(1, len(predicted))
    forth, covered = np.unique(mine.owner[at] * width + by, return_counts=True)
    where, inside = theirs.inside(true)
    back, contained = np.unique(inside * width + theirs.owner[where], return_counts=True)
    pairs = np.union1d(forth, back)
    shared_true, shared_seen = np.zeros(len(pairs)), np.zeros(len(pairs))
    shared_true[np.searchsorted(pairs, forth)] = covered
    shared_seen[np.searchsorted(pairs, back)] = contained
    i, j = pairs // width, pairs % width
    overlaps = compare(truth, predicted)
    iou = dict(zip((overlaps.truth * width + overlaps.predicted).tolist(), overlaps.iou.tolist(), strict=True))
    return Centrelines(
        truth, overlaps, mine, at, by, i, j,
        precision=shared_seen / np.maximum(theirs.sizes[j], 1), recall=shared_true / np.maximum(mine.sizes[i], 1),
        iou=np.array([iou[pair] for pair in pairs.tolist()], np.float64),
    )  # fmt: skip
