"""Objects that are found again."""

from typing import ClassVar, Literal

import numpy as np

from toolkit.api import Metric


class SoundMetric(Metric):
    """Share of true objects more than half of which one predicted object covers, and how the counts differ."""

    kind: Literal["sound"] = "sound"
    additive: ClassVar[bool] = True
    lower_is_better: ClassVar[tuple[str, ...]] = ("off",)

    def count(self, truth, predicted):
        found = {}
        for layer in truth.layers:
            for label in set(layer[layer > 0].tolist()):
                inside = layer == label
                shares = [int(inside.reshape(-1)[predicted.voxels(k)].sum()) for k in range(len(predicted))]
                found[str(label)] = max(shares, default=0) > inside.sum() / 2
        return {"found": int(sum(found.values())), "true": len(found), "off": abs(len(found) - len(predicted))}

    def summarise(self, counts):
        per_image = [c["found"] / c["true"] if c["true"] else float("nan") for c in counts]
        true = sum(c["true"] for c in counts)
        known = [value for value in per_image if value == value]
        return {
            "again": float(np.mean(known)) if known else float("nan"),
            "again pooled": sum(c["found"] for c in counts) / true if true else float("nan"),
            "off": float(np.mean([c["off"] for c in counts])),
        }
