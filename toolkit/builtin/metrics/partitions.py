"""Agreement of two partitions of the voxels: variation of information, adapted Rand error, ISBI 2012 scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from toolkit.builtin.metrics.ratios import gather, mean_defined, ratio
from toolkit.plugins.metric import Counts, Metric
from toolkit.steps.matching import compare
from toolkit.values.instances import Instances
from toolkit.values.truth import UNANNOTATED, Truth

Floats = NDArray[np.float64]


class Partitions(Metric):
    """Counts of pairs of voxels and of information, which add up over images.

    A partition knows no overlap: where objects overlap, the voxel is given to the object of higher score, then of lower
    id. `unannotated` and `void` voxels are left out.
    """

    additive: ClassVar[bool] = True

    background: Literal["ignore", "object"] = "ignore"
    """Whether voxels that are background in the truth are left out or are one more object."""

    def count(self, truth: Truth, predicted: Instances) -> Counts:
        cells, true, seen = contingency(truth, predicted, self.background == "object")
        return _sums(cells, true, seen)


class VOI(Partitions):
    """Variation of information in bits (Meilă 2007): split H(predicted|true), merge H(true|predicted), and their sum.

    0 is perfect. Background of the prediction is one object. Undefined where the truth has no voxels to judge.
    """

    kind: Literal["VOI"] = "VOI"
    lower_is_better: ClassVar[tuple[str, ...]] = ("VOI", "VOI split", "VOI merge")

    def summarise(self, counts: Sequence[Counts]) -> dict[str, float]:
        n, cells, true, seen = (gather(counts, name) for name in ("voxels", "cell_bits", "true_bits", "seen_bits"))
        out: dict[str, float] = {}
        for name, bits in (("VOI", true + seen - 2 * cells), ("VOI split", true - cells), ("VOI merge", seen - cells)):
            out[name] = float(mean_defined(ratio(bits, n, np.nan))[0])
            out[f"{name} pooled"] = float(ratio(bits.sum(0), n.sum(0), np.nan)[0])
        return out


class ARAND(Partitions):
    """Adapted Rand error 1 − F of pairs of voxels, with precision and recall (as scikit-image defines it).

    0 is perfect. Background of the prediction is one object. Undefined where no two voxels belong together.
    """

    kind: Literal["ARAND"] = "ARAND"
    lower_is_better: ClassVar[tuple[str, ...]] = ("ARAND",)

    def summarise(self, counts: Sequence[Counts]) -> dict[str, float]:
        n, cells, true, seen = (gather(counts, name) for name in ("voxels", "cell_pairs", "true_pairs", "seen_pairs"))
        cells, true, seen = cells - n, true - n, seen - n
        out: dict[str, float] = {}
        # Precision asks for voxels joined in the prediction, recall for voxels joined in the truth.
        for name, part, whole, sign in (
            ("ARAND", 2 * cells, true + seen, -1.0),
            ("ARAND precision", cells, seen, 1.0),
            ("ARAND recall", cells, true, 1.0),
        ):
            mean, pooled = mean_defined(ratio(part, whole, np.nan))[0], ratio(part.sum(0), whole.sum(0), np.nan)[0]
            out[name] = float(1 - mean if sign < 0 else mean)
            out[f"{name} pooled"] = float(1 - pooled if sign < 0 else pooled)
        return out


class ISBI(Metric):
    """Foreground-restricted Rand score rRAND and information score rINF (Arganda-Carreras 2015), α = .5; 1 is perfect.

    rRAND = 2Σp² / (Σt² + Σs²) and rINF = 2I / (H(t) + H(s)) over the voxels of true objects. Voxels that are background
    in the prediction are one object each. True borders are not thinned. Overlap, `unannotated` and `void` as in VOI.
    """

    kind: Literal["ISBI"] = "ISBI"
    additive: ClassVar[bool] = True

    def count(self, truth: Truth, predicted: Instances) -> Counts:
        cells, true, seen = contingency(truth, predicted, background=False, singles=True)
        return _sums(cells, true, seen)

    def summarise(self, counts: Sequence[Counts]) -> dict[str, float]:
        out: dict[str, float] = {}
        names = ("voxels", "cell_pairs", "true_pairs", "seen_pairs", "cell_bits", "true_bits", "seen_bits")
        each = [gather(counts, name) for name in names]
        for ending, (n, pp, tt, ss, bits, true, seen) in (
            ("", each),
            (" pooled", [x.sum(0, keepdims=True) for x in each]),
        ):
            rand = ratio(2 * pp, tt + ss, np.nan)
            # n log n − Σ x log x is n times the entropy of the parts x.
            whole = n * np.log2(np.maximum(n, 1))
            both = 2 * whole - true - seen
            information = np.where(n > 0, ratio(2 * (whole + bits - true - seen), both, 1.0), np.nan)
            out[f"rRAND{ending}"] = float(mean_defined(rand)[0])
            out[f"rINF{ending}"] = float(mean_defined(information)[0])
        return out


def contingency(
    truth: Truth, predicted: Instances, background: bool, singles: bool = False
) -> tuple[Floats, Floats, Floats]:
    """Voxels in each pair of parts, in each true part and in each predicted part, as far as they are judged.

    `background`: true background is judged too, as one part. `singles`: each predicted background voxel is a part.
    """
    overlaps = compare(_flat(truth), _apart(predicted))
    n, m = len(overlaps.truth_sizes), len(overlaps.predicted_sizes)
    shared = overlaps.shared.astype(np.float64)
    uncovered = overlaps.truth_sizes - np.bincount(overlaps.truth, weights=shared, minlength=n)
    hits = np.bincount(overlaps.predicted, weights=shared, minlength=m)
    cells: list[Floats] = [shared]
    true: list[Floats] = [overlaps.truth_sizes.astype(np.float64)]
    seen: list[Floats] = [hits.astype(np.float64)]
    if singles:
        ones = np.ones(int(uncovered.sum()))
        cells.append(ones)
        seen.append(ones)
    else:
        cells.append(uncovered.astype(np.float64))
        seen.append(np.array([uncovered.sum()]))
    if background:
        # Shared voxels lie in true objects and are therefore known.
        beyond = overlaps.predicted_known - hits
        empty = overlaps.known - overlaps.truth_sizes.sum() - beyond.sum()
        cells += [beyond.astype(np.float64), np.array([float(empty)])]
        true.append(np.array([float(overlaps.known - overlaps.truth_sizes.sum())]))
        seen = [(hits + beyond).astype(np.float64), np.array([float(uncovered.sum() + empty)])]
    return np.concatenate(cells), np.concatenate(true), np.concatenate(seen)


def _sums(cells: Floats, true: Floats, seen: Floats) -> Counts:
    out: Counts = {"voxels": float(true.sum())}
    for name, parts in (("cell", cells), ("true", true), ("seen", seen)):
        out[f"{name}_pairs"] = float((parts**2).sum())
        out[f"{name}_bits"] = float((parts * np.log2(np.maximum(parts, 1))).sum())
    return out


def _flat(truth: Truth) -> Truth:
    """The truth without overlap."""
    if len(truth.layers) == 1:
        return truth
    labels = truth.instances.to_labels().astype(np.int32)
    labels[truth.unannotated] = UNANNOTATED
    return Truth.from_layers(labels[None], truth.void, truth.voxel_size)


def _apart(instances: Instances) -> Instances:
    """The objects without overlap."""
    order = np.argsort(instances.start, kind="stable")
    start, end = instances.start[order], (instances.start + instances.length)[order]
    if not (start[1:] < end[:-1]).any():
        return instances
    return Instances.from_labels(instances.to_labels())
