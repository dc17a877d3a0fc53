"""Detection of objects by their centre points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np

from toolkit.builtin.ratios import gather, mean_defined, ratio
from toolkit.instances import Instances
from toolkit.matching import assign
from toolkit.specs import Counts, Metric
from toolkit.truth import Truth


class Detection(Metric):
    """AP_det = TP / (TP + FP + FN) of centre points (Hirsch 2020), with precision, recall and F1.

    The point of a predicted object is its centre of mass, rounded to a voxel. A true object is found by a point inside
    it, once: one-to-one, as many as possible. Unmatched points in void or unannotated voxels, and unfound objects that
    lie mostly in void, are no errors. Overlap is respected. Nothing in both is 1.
    """

    kind: Literal["detection"] = "detection"
    additive: ClassVar[bool] = True

    def count(self, truth: Truth, predicted: Instances) -> Counts:
        points = centres(predicted)
        flat = np.ravel_multi_index(tuple(points.T), truth.shape) if len(points) else np.zeros(0, np.int64)
        labels = truth.layers.reshape(len(truth.layers), -1)[:, flat]
        known = truth.known.reshape(-1)
        layer, point = np.nonzero((labels > 0) & known[flat])
        kept = assign(labels[layer, point].astype(np.int64), point, np.ones(len(point))) if len(point) else point
        unfound = set(truth.ids.tolist()) - set(labels[layer[kept], point[kept]].tolist())
        if truth.void is not None and unfound:
            names, size = np.unique(truth.layers, return_counts=True)
            hidden, covered = np.unique(truth.layers[:, truth.void], return_counts=True)
            full = dict(zip(names.tolist(), size.tolist(), strict=True))
            unfound -= {n for n, k in zip(hidden.tolist(), covered.tolist(), strict=True) if 2 * k > full[n]}
        spurious = known[flat]
        spurious[point[kept]] = False
        return {"tp": len(kept), "fp": int(spurious.sum()), "fn": len(unfound)}

    def summarise(self, counts: Sequence[Counts]) -> dict[str, float]:
        tp, fp, fn = (gather(counts, name) for name in ("tp", "fp", "fn"))
        out: dict[str, float] = {}
        for name, part, whole, nothing in (
            ("AP_det", tp, tp + fp + fn, 1.0),
            ("precision_det", tp, tp + fp, np.nan),
            ("recall_det", tp, tp + fn, np.nan),
            ("F1_det", 2 * tp, 2 * tp + fp + fn, 1.0),
        ):
            out[name] = float(mean_defined(ratio(part, whole, nothing))[0])
            out[f"{name} pooled"] = float(ratio(part.sum(0), whole.sum(0), nothing)[0])
        return out


def centres(instances: Instances) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """Centre of mass of each object, `(N, D)`, rounded half up to a voxel."""
    place = np.stack(np.unravel_index(instances.start, instances.shape), axis=1).astype(np.float64)
    length = instances.length.astype(np.float64)
    place[:, -1] += (length - 1) / 2
    sums = np.stack(
        [np.bincount(instances.owner, weights=axis * length, minlength=len(instances)) for axis in place.T], axis=1
    )
    middle = sums / np.maximum(instances.sizes, 1)[:, None]
    return np.floor(middle + 0.5).astype(np.int64)
