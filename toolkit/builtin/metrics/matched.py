"""S, precision, recall and F1: objects matched one to one at IoU thresholds."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import BeforeValidator, PlainSerializer

from toolkit.builtin.metrics.ratios import gather, mean_defined, ratio
from toolkit.plugins.metric import Counts, Metric
from toolkit.steps.matching import compare, percents
from toolkit.values.instances import Instances
from toolkit.values.truth import Truth

Percents = Annotated[
    tuple[int, ...], BeforeValidator(percents), PlainSerializer(lambda whole: [p / 100 for p in whole])
]
"""IoU thresholds: written as fractions or ranges such as `.5:.05:.95`, kept as whole percents, stored as fractions."""


class Matched(Metric):
    """Objects matched one to one, as many as possible, at each IoU threshold.

    Overlapping objects, `unannotated` and `void` are respected as `toolkit.steps.matching.Overlaps` says.
    """

    additive: ClassVar[bool] = True

    @abstractmethod
    def levels(self) -> tuple[int, ...]:
        """The thresholds to match at, in percent."""

    def count(self, truth: Truth, predicted: Instances) -> Counts:
        overlaps = compare(truth, predicted)
        found = [overlaps.match(percent) for percent in self.levels()]
        return {name: [getattr(match, name) for match in found] for name in ("tp", "fp", "fn")}


class S(Matched):
    """S@t = TP / (TP + FP + FN) at IoU ≥ t, and avS, its mean over a range of t (Data Science Bowl 2018).

    1 for an image with no object in truth and prediction.
    """

    kind: Literal["S"] = "S"
    thresholds: Percents = percents(".5:.05:.95")
    """IoU thresholds of S@t."""
    averages: tuple[str, ...] = (".5:.05:.95", ".5:.1:.9", ".1:.1:.9")
    """Ranges of avS."""

    def levels(self) -> tuple[int, ...]:
        return tuple(sorted({*self.thresholds, *(p for text in self.averages for p in percents(text))}))

    def summarise(self, counts: Sequence[Counts]) -> dict[str, float]:
        tp, fp, fn = (gather(counts, name) for name in ("tp", "fp", "fn"))
        mean = ratio(tp, tp + fp + fn, nothing=1.0).mean(0)
        pooled = ratio(tp.sum(0), (tp + fp + fn).sum(0), nothing=1.0)
        out: dict[str, float] = {}
        levels = self.levels()
        for name, chosen in (
            *((f"S@{percent / 100:.2f}", (percent,)) for percent in self.thresholds),
            *((f"avS@{text}", percents(text)) for text in self.averages),
        ):
            at = [levels.index(percent) for percent in chosen]
            out[name] = float(mean[at].mean())
            out[f"{name} pooled"] = float(pooled[at].mean())
        return out


class F1(Matched):
    """Precision TP/(TP+FP), recall TP/(TP+FN) and F1 = 2TP/(2TP+FP+FN) at IoU ≥ t, and the recall at Dice ≥ .8.

    Precision without predictions and recall without true objects are undefined and left out of the mean; F1 of nothing
    in both is 1.
    """

    kind: Literal["F1"] = "F1"
    thresholds: Percents = percents((0.5, 0.75, 0.9))
    """IoU thresholds."""

    def levels(self) -> tuple[int, ...]:
        return self.thresholds

    def count(self, truth: Truth, predicted: Instances) -> Counts:
        dice = compare(truth, predicted).match(80, "dice")
        return super().count(truth, predicted) | {"dice_tp": dice.tp, "dice_fn": dice.fn}

    def summarise(self, counts: Sequence[Counts]) -> dict[str, float]:
        tp, fp, fn = (gather(counts, name) for name in ("tp", "fp", "fn"))
        dice_tp, dice_fn = (gather(counts, name) for name in ("dice_tp", "dice_fn"))
        out: dict[str, float] = {}
        for name, part, whole, nothing, labels in (
            ("precision", tp, tp + fp, np.nan, self._at()),
            ("recall", tp, tp + fn, np.nan, self._at()),
            ("F1", 2 * tp, 2 * tp + fp + fn, 1.0, self._at()),
            ("recall", dice_tp, dice_tp + dice_fn, np.nan, ("@Dice0.80",)),
        ):
            means = mean_defined(ratio(part, whole, nothing))
            pooled = ratio(part.sum(0), whole.sum(0), nothing)
            for label, mean, pool in zip(labels, means, pooled, strict=True):
                out[name + label] = float(mean)
                out[f"{name}{label} pooled"] = float(pool)
        return out

    def _at(self) -> tuple[str, ...]:
        return tuple(f"@{percent / 100:.2f}" for percent in self.thresholds)
