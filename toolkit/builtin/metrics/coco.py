"""Average precision over confidence scores, as COCO defines it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from toolkit.builtin.metrics.matched import Percents
from toolkit.plugins.metric import Counts, Metric
from toolkit.steps.matching import Overlaps, compare, percents
from toolkit.values.instances import Instances
from toolkit.values.truth import Truth

Floats = NDArray[np.float64]
RECALLS = np.linspace(0, 1, 101)


class APCoco(Metric):
    """AP_coco: area under precision and recall of objects ranked by score, 101 recall points (Lin 2014).

    In order of score each object takes the free true object of largest IoU ≥ t. Mean over t. At most
    `cap` objects of an image count. Only pooled over images, as COCO does; undefined without true objects and
    where all scores are equal, as for predictions that carry none. Respects overlap, `unannotated` and `void`; a true
    object mostly in void absorbs its prediction, and neither counts.
    """

    kind: Literal["AP_coco"] = "AP_coco"
    thresholds: Percents = percents(".5:.05:.95")
    """IoU thresholds."""
    alone: Percents = percents((0.5, 0.75))
    """Those of them whose AP is also given by itself."""
    cap: int = Field(default=1000, ge=1)
    """Objects of an image that count, best scores first (COCO itself takes 100)."""

    def count(self, truth: Truth, predicted: Instances) -> Counts:
        overlaps = compare(truth, predicted)
        order = np.argsort(-predicted.scores, kind="stable")[: self.cap]
        hit, ignored = self._claims(overlaps, order)
        return {
            "scores": predicted.scores[order].astype(float).tolist(),
            "hit": hit.tolist(),
            "ignored": ignored.tolist(),
            "true": int((~overlaps.truth_unknown).sum()),
        }

    def _claims(self, overlaps: Overlaps, order: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """For each object in `order`, bit masks over the thresholds: is it a hit, is it ignored."""
        first = np.searchsorted(overlaps.predicted[(by := np.argsort(overlaps.predicted, kind="stable"))], order)
        last = np.searchsorted(overlaps.predicted[by], order, side="right")
        # Real objects before ignored ones, then by IoU; of equal ones COCO takes the last.
        rank = np.lexsort((-overlaps.truth, -overlaps.iou, overlaps.truth_unknown[overlaps.truth]))
        place = np.empty(len(rank), np.int64)
        place[rank] = np.arange(len(rank))
        hit, ignored = np.zeros(len(order), np.int64), np.zeros(len(order), np.int64)
        for bit, percent in enumerate(self.thresholds):
            good = 100 * overlaps.shared >= percent * overlaps.unions
            taken: set[int] = set()
            for k, (low, high) in enumerate(zip(first.tolist(), last.tolist(), strict=True)):
                edges = by[low:high]
                edges = edges[good[edges]]
                free = [e for e in edges[np.argsort(place[edges])].tolist() if int(overlaps.truth[e]) not in taken]
                if free:
                    true = int(overlaps.truth[free[0]])
                    taken.add(true)
                    (ignored if overlaps.truth_unknown[true] else hit)[k] |= 1 << bit
                elif overlaps.predicted_unknown[order[k]]:
                    ignored[k] |= 1 << bit
        return hit, ignored

    def summarise(self, counts: Sequence[Counts]) -> dict[str, float]:
        return {key: float(value[0]) for key, value in self.resampled(counts, np.ones((1, len(counts)))).items()}

    def resampled(self, counts: Sequence[Counts], weights: NDArray[Any]) -> dict[str, Floats]:
        image = np.repeat(np.arange(len(counts)), [len(c["scores"]) for c in counts])
        scores, hit, ignored = (
            np.array([x for c in counts for x in c[name]], dtype)
            for name, dtype in (("scores", np.float64), ("hit", np.int64), ("ignored", np.int64))
        )
        order = np.argsort(-scores, kind="stable")
        image, scores, hit, ignored = image[order], scores[order], hit[order], ignored[order]
        true = np.array([c["true"] for c in counts], np.float64)
        areas = np.full((len(self.thresholds), len(weights)), np.nan)
        judged = scores[ignored != (1 << len(self.thresholds)) - 1]
        if len(judged) > 1 and judged.min() == judged.max():
            weights = weights[:0]
        for bit, values in enumerate(areas):
            keep = (ignored.astype(np.int64) >> bit) & 1 == 0
            hits, of = ((hit[keep].astype(np.int64) >> bit) & 1).astype(np.float64), image[keep]
            for k, weight in enumerate(weights.astype(np.float64)):
                values[k] = _area(hits, weight[of], float(weight @ true))
        at = {p: area for p, area in zip(self.thresholds, areas, strict=True) if p in self.alone}
        return {"AP_coco pooled": areas.mean(0)} | {f"AP_coco@{p / 100:.2f} pooled": area for p, area in at.items()}


def _area(hits: Floats, weight: Floats, true: float) -> float:
    """Mean precision at 101 recalls of ranked objects; `weight`: how often each occurs."""
    if not true:
        return float("nan")
    found = np.cumsum(hits * weight)
    seen = np.cumsum(weight)
    at = np.flatnonzero((hits > 0) & (weight > 0))
    if not len(at):
        return 0.0
    precision = np.maximum.accumulate((found[at] / seen[at])[::-1])[::-1]
    where = np.searchsorted(found[at] / true, RECALLS, side="left")
    return float(np.append(precision, 0.0)[np.minimum(where, len(at))].mean())
