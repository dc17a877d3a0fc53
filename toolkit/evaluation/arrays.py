"""Predictions and truth that are in memory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit import io
from toolkit.errors import InputError
from toolkit.evaluation.evaluate import Pair
from toolkit.values.instances import Instances
from toolkit.values.truth import UNANNOTATED, Truth

Labels = str | Path | NDArray[Any] | Instances


def given(predicted: Labels | Sequence[Labels], truth: Labels | Truth | Sequence[Labels | Truth]) -> list[Pair]:
    """Pairs of label images `(Z)YX`, instances or files of such, in the order in which they are given.

    Raises `InputError` for unequal numbers of them and for arrays that hold no labels.
    """
    mine, true = (list(x) if isinstance(x, list | tuple) else [x] for x in (predicted, truth))
    if len(mine) != len(true):
        raise InputError(
            "predictions and truth are not as many", f"{len(mine)} and {len(true)}", "give them in the same order"
        )
    return [Pair(f"{k}", _truth(t), _instances(p)) for k, (p, t) in enumerate(zip(mine, true, strict=True))]


def _instances(labels: Labels) -> Instances:
    if isinstance(labels, Instances):
        return labels
    if isinstance(labels, str | Path):
        return io.read_instances(Path(labels))
    return Instances.from_labels(_whole(labels, 0))


def _truth(labels: Labels | Truth) -> Truth:
    if isinstance(labels, Truth):
        return labels
    if isinstance(labels, Instances):
        return Truth.from_instances(labels)
    if isinstance(labels, str | Path):
        return io.read_truth(Path(labels))
    return Truth.from_layers(_whole(labels, UNANNOTATED)[None])


def _whole(labels: NDArray[Any], least: int) -> NDArray[Any]:
    array = np.asarray(labels)
    if array.ndim not in (2, 3) or array.dtype.kind not in "bui":
        raise InputError("a label image has two or three axes and whole numbers",
                         f"this array has shape {array.shape} and type {array.dtype}")  # fmt: skip
    if array.size and array.min() < least:
        raise InputError(f"a label image holds numbers from {least}", f"this one holds {array.min()}")
    return array.astype(np.int32) if array.dtype == bool else array
