"""What is kept of a window: the patches of its foreground, and where several objects are."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from toolkit.api import Backend, Prediction, Voxels, kernels
from toolkit_ppp.bits import Words, pack
from toolkit_ppp.options import Options
from toolkit_ppp.patches import classify

ROWS = 4096
"""Patches that are looked at at once, so that what is made of them stays small."""


class Least(NamedTuple):
    """The most permissive thresholds for which a piece must do."""

    foreground: float
    threshold: float


def keep(prediction: Prediction, options: Options, least: Least, backend: Backend, loose: bool) -> Voxels:
    """The pixels of fg(I) in the core.

    They are those with more than `least.foreground` probability in the head `foreground`, else in `numinst`
    (probabilities of 0, 1 and ≥ 2 instances); without these heads those where the centre of `patches` exceeds
    `least.threshold`. Loose: `patches` (P, C) float32, `several` (P,) and, where a head says so, `foreground` (P,).
    Else what `cut` makes of it.
    """
    seen = prediction.crop(prediction.core)
    with kernels.on(backend):
        probability = foreground(seen)
        if probability is None:
            inside = seen["patches"][options.voxels // 2].astype("float64") > least.threshold
        else:
            inside = probability > least.foreground
        rows = seen.at("patches", inside)
        several = seen["numinst"][2][inside] if "numinst" in seen else backend.xp.zeros(len(rows), np.float32)
        there: dict[str, NDArray[Any]] = {"several": backend.to_numpy(several)}
        if not loose:
            there = coded(rows, there["several"], options, backend)
        else:
            there["patches"] = np.ascontiguousarray(backend.to_numpy(rows), np.float32)
            if probability is not None:
                there["foreground"] = backend.to_numpy(probability[inside])
    return Voxels.of(backend.to_numpy(inside), there, seen.box, seen.shape, seen.voxel_size)


def foreground(seen: Prediction) -> Any:
    """Probability of fg(I) on the device, or None where only the patches tell."""
    if "foreground" in seen:
        return seen["foreground"][0]
    return 1 - seen["numinst"][0] if "numinst" in seen else None


def cut(piece: Voxels, options: Options) -> Voxels:
    """`codes` (P, C) int16 as in `Patches`, of whole patches: `read` confines them. `centred` (P,): pixels whose own
    patch takes part, which is not that of several instances. `covers` (P, words): the pixels above `cover_threshold` as
    bits, where that is not `threshold`."""
    if "foreground" in piece.values:
        found = piece.select(piece["foreground"] > options.foreground)
    else:
        found = piece.select(piece["patches"][:, options.voxels // 2].astype(np.float64) > options.threshold)
    return found.valued(coded(found["patches"], found["several"], options, Backend()))


def coded(rows: Any, several: NDArray[np.float32], options: Options, backend: Backend) -> dict[str, NDArray[Any]]:
    """What is kept of patches `(P, C)`, probabilities on the device."""
    values: dict[str, NDArray[Any]] = {
        "codes": np.concatenate([classify(part, options, backend) for part in _parts(rows)]),
        "centred": ~(several > options.overlap_threshold),
    }
    if options.cover_threshold not in (None, options.threshold):
        values["covers"] = _above(rows, float(options.cover_threshold or 0), backend)
    return values


def _above(rows: Any, cut: float, backend: Backend) -> Words:
    return np.concatenate([pack(backend.to_numpy(part.astype("float64") > cut)) for part in _parts(rows)])


def _parts(rows: Any) -> list[Any]:
    return [rows[a : a + ROWS] for a in range(0, max(1, len(rows)), ROWS)]
