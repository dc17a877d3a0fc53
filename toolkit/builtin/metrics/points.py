"""Detection of objects by their centre points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from toolkit.builtin.metrics.ratios import gather, mean_defined, ratio
from toolkit.plugins.metric import Counts, Metric
from toolkit.steps.matching import assign
from toolkit.values.instances import Instances
from toolkit.values.truth import Truth

Ints = NDArray[np.int64]


class Detection(Metric):
    """AP_det = TP / (TP + FP + FN) of centre points (Hirsch 2020), with precision, recall and F1.

    The point of a predicted object is its centre of mass, rounded to a voxel. A true object is found by a point inside
    it, once: one-to-one, as many as possible. Where every true object is one voxel, and with `thresholds` always, it is
    found by a point near its centre instead. Unmatched points in void or unannotated voxels, and unfound objects that
    lie mostly in void, are no errors. Overlap is respected. Nothing in both is 1.
    """

    kind: Literal["detection"] = "detection"
    additive: ClassVar[bool] = True

    thresholds: tuple[Annotated[float, Field(gt=0)], ...] = ()
    """Radii in µm within which a point finds a centre (`detection@2.5`); none: inside the object."""
    reach: Annotated[float, Field(gt=0)] = 4.0
    """Without `thresholds`, true objects of one voxel are found within so many smallest voxel edges (2 standard
    deviations of the blob that the paper draws)."""

    def count(self, truth: Truth, predicted: Instances) -> Counts:
        points = centres(predicted)
        flat = np.ravel_multi_index(tuple(points.T), truth.shape) if len(points) else np.zeros(0, np.int64)
        known = truth.known.reshape(-1)[flat]
        hidden = _hidden(truth)
        found: dict[str, list[int]] = {"tp": [], "fp": [], "fn": []}
        for radius in self.thresholds or ((self.reach * min(truth.voxel_size),) if _is_points(truth) else (None,)):
            row, point, gain = _inside(truth, flat) if radius is None else _near(truth, points, radius)
            # A void point finds nothing; one in unannotated voxels may still lie near a point of the annotation.
            able = known[point] if radius is None else ~_void(truth, flat)[point]
            row, point, gain = row[able], point[able], gain[able]
            kept = assign(row, point, gain) if len(row) else row
            unfound, spurious = ~hidden, known.copy()
            unfound[row[kept]], spurious[point[kept]] = False, False
            for name, number in (("tp", len(kept)), ("fp", int(spurious.sum())), ("fn", int(unfound.sum()))):
                found[name].append(number)
        return dict(found)

    def summarise(self, counts: Sequence[Counts]) -> dict[str, float]:
        tp, fp, fn = (gather(counts, name) for name in ("tp", "fp", "fn"))
        out: dict[str, float] = {}
        for name, part, whole, nothing in (
            ("AP_det", tp, tp + fp + fn, 1.0),
            ("precision_det", tp, tp + fp, np.nan),
            ("recall_det", tp, tp + fn, np.nan),
            ("F1_det", 2 * tp, 2 * tp + fp + fn, 1.0),
        ):
            means, pooled = mean_defined(ratio(part, whole, nothing)), ratio(part.sum(0), whole.sum(0), nothing)
            for at, label in enumerate([f"@{radius:g}um" for radius in self.thresholds] or [""]):
                out[name + label] = float(means[at])
                out[f"{name}{label} pooled"] = float(pooled[at])
        return out


Edges = tuple[Ints, Ints, NDArray[np.float64]]
"""Indices of true objects and of points that may find them, and what that is worth, in [0, 1]."""


def _is_points(truth: Truth) -> bool:
    return len(truth.ids) > 0 and int((truth.layers > 0).sum()) == len(truth.ids)


def _inside(truth: Truth, flat: Ints) -> Edges:
    """Each point and the objects that it lies in."""
    labels = truth.layers.reshape(len(truth.layers), -1)[:, flat]
    layer, point = np.nonzero(labels > 0)
    order = np.argsort(truth.ids)
    row = order[np.searchsorted(truth.ids, labels[layer, point], sorter=order)]
    return row.astype(np.int64), point.astype(np.int64), np.ones(len(point))


def _near(truth: Truth, points: Ints, radius: float) -> Edges:
    """Each point and the centres within `radius` µm of it; near ones are worth more."""
    from scipy.spatial import cKDTree

    size = np.array(truth.voxel_size)
    if not len(points) or not len(truth.ids):
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)
    # A whisker more, so that a distance of exactly the radius counts whatever the rounding.
    tree, reach = cKDTree(truth.centres * size), radius * (1 + 1e-9)
    pairs = cKDTree(points * size).sparse_distance_matrix(tree, reach, output_type="ndarray")
    order = np.lexsort((pairs["i"], pairs["j"]))
    row, point, distance = (pairs[name][order] for name in ("j", "i", "v"))
    return row.astype(np.int64), point.astype(np.int64), np.clip(1 - distance / reach, 0, 1)


def _void(truth: Truth, flat: Ints) -> NDArray[np.bool_]:
    return np.zeros(len(flat), bool) if truth.void is None else truth.void.reshape(-1)[flat]


def _hidden(truth: Truth) -> NDArray[np.bool_]:
    """Which objects lie mostly in void."""
    if truth.void is None:
        return np.zeros(len(truth.ids), bool)
    names, size = np.unique(truth.layers, return_counts=True)
    hidden, covered = np.unique(truth.layers[:, truth.void], return_counts=True)
    full = dict(zip(names.tolist(), size.tolist(), strict=True))
    mostly = [n for n, k in zip(hidden.tolist(), covered.tolist(), strict=True) if 2 * k > full[n]]
    return np.isin(truth.ids, mostly)


def centres(instances: Instances) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """Centre of mass of each object, `(N, D)`, rounded half up to a voxel."""
    return np.floor(instances.centroids + 0.5).astype(np.int64)
