"""What became of each object: matched, missed, spurious, split or merged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from toolkit.steps.matching import Overlaps
from toolkit.values.instances import Instances
from toolkit.values.truth import Truth

KINDS = ("matched", "missed", "spurious", "split", "merged", "ignored")
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Fates:
    """The objects of one side: `kind` is an index into `KINDS`, `partner` the id of the matched object or 0.

    `iou` is that of the match, or the best one with any object. A true object is *split* if it is unmatched and more
    than half of each of two or more predicted objects lies in it, *merged* if it is unmatched and lies by more than
    half in a predicted object that swallows two or more so, else *missed*. A predicted object is *merged* or *split*
    likewise, else *spurious*; or *ignored* (see `toolkit.steps.matching.Overlaps`). `ids` are those of the label image.
    """

    ids: Ints
    kind: NDArray[np.int8]
    partner: Ints
    iou: NDArray[np.float64]
    sizes: Ints
    boxes: Ints

    @property
    def errors(self) -> int:
        """Objects that are neither matched nor ignored."""
        return int((~np.isin(self.kind, [KINDS.index(kind) for kind in ("matched", "ignored")])).sum())


def attribute(truth: Truth, predicted: Instances, overlaps: Overlaps, percent: int = 50) -> tuple[Fates, Fates]:
    """The fate of each true and of each predicted object when matched at IoU ≥ percent/100."""
    true = truth.instances
    match = overlaps.match(percent)
    inside = 2 * overlaps.shared > overlaps.predicted_sizes[overlaps.predicted]
    swallowed = 2 * overlaps.shared > overlaps.truth_sizes[overlaps.truth]
    pieces = np.bincount(overlaps.truth[inside], minlength=len(true))
    victims = np.bincount(overlaps.predicted[swallowed], minlength=len(predicted))
    is_split, is_merge = pieces >= 2, victims >= 2
    in_merge, in_split = np.zeros(len(true), bool), np.zeros(len(predicted), bool)
    in_merge[overlaps.truth[swallowed & is_merge[overlaps.predicted]]] = True
    in_split[overlaps.predicted[inside & is_split[overlaps.truth]]] = True

    true_kind = _kinds(is_split, in_merge, overlaps.truth_unknown, "missed", match.truth)
    seen_kind = _kinds(in_split, is_merge, overlaps.predicted_unknown, "spurious", match.predicted)
    labels = true_labels(truth)
    ids = np.arange(1, len(predicted) + 1)
    true_partner, seen_partner = np.zeros(len(true), np.int64), np.zeros(len(predicted), np.int64)
    true_partner[match.truth], seen_partner[match.predicted] = ids[match.predicted], labels[match.truth]
    true_iou, seen_iou = np.zeros(len(true)), np.zeros(len(predicted))
    np.maximum.at(true_iou, overlaps.truth, overlaps.iou)
    np.maximum.at(seen_iou, overlaps.predicted, overlaps.iou)
    true_iou[match.truth], seen_iou[match.predicted] = match.iou, match.iou
    return (
        Fates(labels, true_kind, true_partner, true_iou, true.sizes, true.boxes),
        Fates(ids, seen_kind, seen_partner, seen_iou, predicted.sizes, predicted.boxes),
    )


def _kinds(
    split: NDArray[np.bool_], merged: NDArray[np.bool_], unknown: NDArray[np.bool_], lost: str, matched: Ints
) -> NDArray[np.int8]:
    kind = np.full(len(split), KINDS.index(lost), np.int8)
    kind[merged] = KINDS.index("merged")
    kind[split] = KINDS.index("split")
    kind[unknown] = KINDS.index("ignored")
    kind[matched] = KINDS.index("matched")
    return kind


def true_labels(truth: Truth) -> Ints:
    """The label of each object of `truth.instances` in its label images."""
    objects = truth.instances
    first = objects.start[objects.offsets[:-1]]
    flat = truth.layers.reshape(len(truth.layers), -1)
    here = flat[:, first]
    labels: Ints = np.maximum(here, 0).max(0, initial=0).astype(np.int64)
    # Where several objects begin in one voxel, or lie over the beginning of this one, their sizes tell them apart.
    unsure = np.flatnonzero((here > 0).sum(0) > 1)
    if len(unsure):
        names, count = np.unique(flat[flat > 0], return_counts=True)
        size = dict(zip(names.tolist(), count.tolist(), strict=True))
        taken = set(labels[(here > 0).sum(0) == 1].tolist())
        for k in unsure.tolist():
            free = [int(n) for n in here[:, k] if n > 0 and int(n) not in taken]
            labels[k] = min(free, key=lambda n: (abs(size[n] - int(objects.sizes[k])), n))
            taken.add(int(labels[k]))
    return labels
