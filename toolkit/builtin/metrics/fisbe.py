"""The scores of the FISBe benchmark for long thin objects that cross."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from toolkit.builtin.metrics.centrelines import centrelines
from toolkit.builtin.metrics.matched import Percents
from toolkit.builtin.metrics.ratios import gather, mean_defined, ratio
from toolkit.plugins.metric import Counts, Metric
from toolkit.steps.matching import percents
from toolkit.values.instances import Instances
from toolkit.values.truth import Truth

Ints = NDArray[np.int64]


class FISBe(Metric):
    """FISBe: avF1, coverage C, their mean, clDice of hits, false splits and merges (Mais 2024, arXiv 2404.00130).

    Precision of a pair is the share of the predicted centreline in the true object, recall that of the true centreline
    in the predicted object, clDice their harmonic mean. avF1: greedy one-to-one matching at clDice > t. C: recall of
    each true object by the union of the predictions whose best precision is with it. Splits and merges: partners beyond
    the first in a greedy many-to-many matching at recall > `recall_above`, in which every matched pair uses up the
    voxels it shares. Respects overlap, `unannotated` and `void`; unmatched objects that `Overlaps` ignores are no
    errors.
    """

    kind: Literal["FISBe"] = "FISBe"
    additive: ClassVar[bool] = True
    lower_is_better: ClassVar[tuple[str, ...]] = ("false splits", "false merges")

    thresholds: Percents = percents(".1:.1:.9")
    """clDice thresholds of avF1."""
    recall_above: float = Field(default=0.1, ge=0, lt=1)
    """Recall that makes a predicted object a partner of a true one in the count of splits and merges."""

    def count(self, truth: Truth, predicted: Instances) -> Counts:
        lines = centrelines(truth, predicted)
        true_free, seen_free = ~lines.overlaps.truth_unknown, ~lines.overlaps.predicted_unknown
        pairs, dice = lines.greedy()
        out: Counts = {"tp": [], "fp": [], "fn": []}
        for percent in self.thresholds:
            i, j = lines.true[pairs[dice > percent / 100]], lines.seen[pairs[dice > percent / 100]]
            out["tp"].append(len(i))
            out["fn"].append(int(np.delete(true_free, i).sum()))
            out["fp"].append(int(np.delete(seen_free, j).sum()))
        splits, merges = lines.splits_and_merges(self.recall_above)
        covered = lines.coverage()
        judged = true_free | (covered > 0)
        hits = dice > 0.5
        return out | {
            "covered": float(covered[judged].sum()),
            "true": int(judged.sum()),
            "hits": int(hits.sum()),
            "hit_dice": float(dice[hits].sum()),
            "splits": splits,
            "merges": merges,
            "images": 1,
        }

    def summarise(self, counts: Sequence[Counts]) -> dict[str, float]:
        names = ("tp", "fp", "fn", "covered", "true", "hits", "hit_dice", "splits", "merges", "images")
        each = {name: gather(counts, name) for name in names}
        total = {name: values.sum(0, keepdims=True) for name, values in each.items()}
        out: dict[str, float] = {}
        for ending, c in (("", each), (" pooled", total)):
            f1 = ratio(2 * c["tp"], 2 * c["tp"] + c["fp"] + c["fn"], 1.0).mean(1)
            coverage = ratio(c["covered"], c["true"], np.nan)[:, 0]
            for name, values in (
                ("FISBe", (f1 + coverage) / 2),
                ("avF1", f1),
                ("coverage", coverage),
                ("clDice of hits", ratio(c["hit_dice"], c["hits"], np.nan)[:, 0]),
            ):
                out[name + ending] = float(mean_defined(values))
        for name in ("splits", "merges"):
            out[f"false {name}"] = float(ratio(total[name], total["images"], np.nan)[0, 0])
        return out
