"""Centreline Dice of the foreground."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from toolkit.builtin.metrics.ratios import gather, mean_defined, ratio
from toolkit.plugins.metric import Counts, Metric
from toolkit.values.instances import Instances
from toolkit.values.truth import Truth


class ClDice(Metric):
    """clDice: harmonic mean of the shares of each side's skeleton that lie inside the other side (Shit 2021, eq. 3).

    For tubes and networks: it judges the union of all objects, so it cannot see which object is which, nor overlap.
    `void` is cut away, and skeleton voxels in `unannotated` voxels are left out. Nothing on both sides is 1, on one
    side 0.
    """

    kind: Literal["clDice"] = "clDice"
    additive: ClassVar[bool] = True

    def count(self, truth: Truth, predicted: Instances) -> Counts:
        true, seen = truth.covered > 0, predicted.to_labels() > 0
        if truth.void is not None:
            true, seen = true & ~truth.void, seen & ~truth.void
        known = truth.known
        true_line, seen_line = skeleton(true) & known, skeleton(seen) & known
        return {
            "true_line": int(true_line.sum()),
            "true_inside": int((true_line & seen).sum()),
            "seen_line": int(seen_line.sum()),
            "seen_inside": int((seen_line & true).sum()),
        }

    def summarise(self, counts: Sequence[Counts]) -> dict[str, float]:
        true, true_inside, seen, seen_inside = (
            gather(counts, name) for name in ("true_line", "true_inside", "seen_line", "seen_inside")
        )
        pooled = [x.sum(0, keepdims=True) for x in (true, true_inside, seen, seen_inside)]
        out: dict[str, float] = {}
        for ending, (a, a_in, b, b_in) in (("", (true, true_inside, seen, seen_inside)), (" pooled", pooled)):
            sensitivity, precision = ratio(a_in, a, np.nan), ratio(b_in, b, np.nan)
            both = np.nan_to_num(sensitivity) + np.nan_to_num(precision)
            dice = ratio(2 * np.nan_to_num(sensitivity) * np.nan_to_num(precision), both, 0.0)
            out[f"clDice{ending}"] = float(np.where(a + b == 0, 1.0, dice).mean())
            out[f"clDice precision{ending}"] = float(mean_defined(precision)[0])
            out[f"clDice sensitivity{ending}"] = float(mean_defined(sensitivity)[0])
        return out


def skeleton(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """One voxel wide centre lines (Zhang 1984 in 2-D, Lee 1994 in 3-D); a plane of depth 1 is thinned in 2-D."""
    from skimage.morphology import skeletonize

    if mask.ndim == 3 and 1 in mask.shape:
        axis = mask.shape.index(1)
        return np.expand_dims(skeleton(mask.squeeze(axis)), axis)
    thin: NDArray[np.bool_] = skeletonize(mask)  # type: ignore[no-untyped-call]
    return thin
