"""Agreement without a threshold: aggregated Jaccard index, SEG, symmetric best Dice, difference in count."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from toolkit.builtin.metrics.ratios import gather, mean_defined, ratio
from toolkit.plugins.metric import Counts, Metric
from toolkit.steps.matching import compare
from toolkit.values.instances import Instances
from toolkit.values.truth import Truth


class AJI(Metric):
    """Aggregated Jaccard index (Kumar 2017, algorithm 1) and AJI+, its one-to-one version (Graham 2019).

    AJI gives every true object its predicted object of largest IoU, several true ones the same if need be; AJI+ takes
    the one-to-one matching of largest summed IoU. Shared voxels over united voxels, where objects without a partner add
    all their voxels. Nothing in truth and prediction is 1. Respects overlap and `void`; a predicted object mostly in
    void or unannotated voxels adds nothing unless it is somebody's partner.
    """

    kind: Literal["AJI"] = "AJI"
    additive: ClassVar[bool] = True

    def count(self, truth: Truth, predicted: Instances) -> Counts:
        overlaps = compare(truth, predicted)
        out: Counts = {}
        best = _largest(overlaps.iou, overlaps.truth)
        for name, edges in (("best", best), ("one", overlaps.best_pairs())):
            partner, taken = overlaps.truth[edges], overlaps.predicted[edges]
            lonely, unused = ~overlaps.truth_unknown, ~overlaps.predicted_unknown
            lonely[partner], unused[taken] = False, False
            out[f"{name}_shared"] = int(overlaps.shared[edges].sum())
            out[f"{name}_union"] = int(
                overlaps.unions[edges].sum()
                + overlaps.truth_sizes[lonely].sum()
                + overlaps.predicted_sizes[unused].sum()
            )
        return out

    def summarise(self, counts: Sequence[Counts]) -> dict[str, float]:
        out: dict[str, float] = {}
        for key, name in (("AJI", "best"), ("AJI+", "one")):
            shared, union = gather(counts, f"{name}_shared"), gather(counts, f"{name}_union")
            out[key] = float(ratio(shared, union, 1.0).mean())
            out[f"{key} pooled"] = float(ratio(shared.sum(0), union.sum(0), 1.0)[0])
        return out


class SEG(Metric):
    """SEG of the Cell Tracking Challenge: mean over true objects of the IoU with the one that covers more than half.

    0 for a true object without such a partner; extra predicted objects cost nothing. Undefined without true objects.
    Where overlapping predictions cover it, the best counts. Respects `void`; `unannotated` voxels need no care, as
    only true objects are judged.
    """

    kind: Literal["SEG"] = "SEG"
    additive: ClassVar[bool] = True

    def count(self, truth: Truth, predicted: Instances) -> Counts:
        overlaps = compare(truth, predicted)
        covers = 2 * overlaps.shared > overlaps.truth_sizes[overlaps.truth]
        best = np.zeros(len(overlaps.truth_sizes))
        np.maximum.at(best, overlaps.truth[covers], overlaps.iou[covers])
        judged = ~overlaps.truth_unknown | (best > 0)
        return {"jaccard": float(best[judged].sum()), "objects": int(judged.sum())}

    def summarise(self, counts: Sequence[Counts]) -> dict[str, float]:
        jaccard, objects = gather(counts, "jaccard"), gather(counts, "objects")
        return {
            "SEG": float(mean_defined(ratio(jaccard, objects, np.nan))[0]),
            "SEG pooled": float(ratio(jaccard.sum(0), objects.sum(0), np.nan)[0]),
        }


class SBD(Metric):
    """Symmetric best Dice, the smaller of both directions, and |DiC|, the difference in count (CVPPP, Scharr 2016).

    One direction is the mean over its objects of the best Dice with any object of the other side. Nothing on both
    sides is SBD = 1, nothing on one side 0. Respects overlap, `unannotated` and `void`: objects that `Overlaps` ignores
    are not judged.
    """

    kind: Literal["SBD"] = "SBD"
    additive: ClassVar[bool] = True
    lower_is_better: ClassVar[tuple[str, ...]] = ("|DiC|",)

    def count(self, truth: Truth, predicted: Instances) -> Counts:
        overlaps = compare(truth, predicted)
        dice = 2 * overlaps.shared / np.maximum(overlaps.unions + overlaps.shared, 1)
        out: Counts = {}
        for name, at, unknown in (
            ("true", overlaps.truth, overlaps.truth_unknown),
            ("predicted", overlaps.predicted, overlaps.predicted_unknown),
        ):
            best = np.zeros(len(unknown))
            np.maximum.at(best, at, dice)
            out[f"{name}_dice"] = float(best[~unknown].sum())
            out[name] = int((~unknown).sum())
        return out | {"difference": abs(out["true"] - out["predicted"]), "images": 1}

    def summarise(self, counts: Sequence[Counts]) -> dict[str, float]:
        true_dice, true, seen_dice, seen = (
            gather(counts, name) for name in ("true_dice", "true", "predicted_dice", "predicted")
        )
        off, images = gather(counts, "difference"), gather(counts, "images")
        return {
            "SBD": float(_smaller(true_dice, true, seen_dice, seen).mean()),
            "SBD pooled": float(_smaller(*(x.sum(0) for x in (true_dice, true, seen_dice, seen)))[0]),
            "|DiC|": float(ratio(off.sum(0), images.sum(0), np.nan)[0]),
        }


def _smaller(
    true_dice: NDArray[np.float64], true: NDArray[np.float64], seen_dice: NDArray[np.float64], seen: NDArray[np.float64]
) -> NDArray[np.float64]:
    nothing = np.where(true + seen == 0, 1.0, 0.0)
    return np.minimum(
        np.where(true > 0, ratio(true_dice, true, 0.0), nothing),
        np.where(seen > 0, ratio(seen_dice, seen, 0.0), nothing),
    )


def _largest(values: NDArray[np.float64], group: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each group that has edges, the first edge of the largest value."""
    order = np.lexsort((np.arange(len(group)), -values, group))
    first = np.ones(len(order), bool)
    first[1:] = group[order][1:] != group[order][:-1]
    return order[first]
