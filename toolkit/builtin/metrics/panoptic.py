"""Panoptic quality."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np

from toolkit.builtin.metrics.ratios import gather, mean_defined, ratio
from toolkit.plugins.metric import Counts, Metric
from toolkit.steps.matching import compare
from toolkit.values.instances import Instances
from toolkit.values.truth import Truth


class PQ(Metric):
    """PQ = SQ · RQ: mean IoU of the objects matched at IoU ≥ .5, times F1 (Kirillov 2019, eq. 1).

    The paper matches at > .5, where pairs are unique; at exactly .5 the matching here is the optimal one. Nothing in
    truth and prediction is PQ = RQ = 1; SQ without a match is undefined. Respects overlap, `unannotated` and `void`.
    """

    kind: Literal["PQ"] = "PQ"
    additive: ClassVar[bool] = True

    def count(self, truth: Truth, predicted: Instances) -> Counts:
        match = compare(truth, predicted).match(50)
        return {"tp": match.tp, "fp": match.fp, "fn": match.fn, "iou": float(match.iou.sum())}

    def summarise(self, counts: Sequence[Counts]) -> dict[str, float]:
        tp, fp, fn, iou = (gather(counts, name) for name in ("tp", "fp", "fn", "iou"))
        out: dict[str, float] = {}
        for name, part, whole, nothing in (
            ("PQ", iou, tp + (fp + fn) / 2, 1.0),
            ("SQ", iou, tp, np.nan),
            ("RQ", tp, tp + (fp + fn) / 2, 1.0),
        ):
            out[name] = float(mean_defined(ratio(part, whole, nothing))[0])
            out[f"{name} pooled"] = float(ratio(part.sum(0), whole.sum(0), nothing)[0])
        return out
