"""What people are shown of heads, noted while a run predicts a window: it is not predicted once more for them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.files import arrays
from toolkit.gpu.backend import Backend
from toolkit.values.prediction import Head, Prediction

NOTED = ("heads", "entropy")
"""What is noted where it is wanted."""
MANY = 16
"""A head of more channels, such as one of patches, is shown by its mean."""


def noted(seen: Prediction, heads: Sequence[Head], wanted: Collection[str], backend: Backend) -> Prediction:
    """In the core of a window `head_NAME` `(C, *S)` of each head, those of many channels as their mean, and `entropy`
    `(1, *S)`, if any head is a probability; float16 in main memory."""
    part = seen.crop(seen.core)
    there = [head for head in heads if head.name in part]
    dense = {head.name: backend.to_numpy(part[head.name]) for head in there}
    out: dict[str, NDArray[Any]] = {}
    if "heads" in wanted:
        few = {name: v if len(v) <= MANY else v.mean(0, keepdims=True) for name, v in dense.items()}
        out = {f"head_{name}": values for name, values in few.items()}
    sure = [head for head in there if head.activation in ("sigmoid", "softmax")]
    if "entropy" in wanted and sure:
        out["entropy"] = np.mean([entropy(dense[head.name], head) for head in sure], axis=0)
    return replace(part, heads={name: values.astype(np.float16) for name, values in out.items()})


def entropy(values: NDArray[Any], head: Head) -> NDArray[Any]:
    """How unsure a head is, 0 … 1: entropy in units of its largest, the mean over independent channels."""
    p = np.clip(values.astype(np.float32), 1e-7, 1)
    if head.activation == "softmax" and len(p) > 1:
        return np.asarray(-(p * np.log(p)).sum(0, keepdims=True) / np.log(len(p)))
    q = np.clip(1 - p, 1e-7, 1)
    return np.asarray(-(p * np.log2(p) + q * np.log2(q)).mean(0, keepdims=True))


def put(note: Prediction, folder: Path, number: int) -> None:
    """Leave what was noted of window `number` beside its piece, for another process."""
    arrays.write(folder / f"{number}.noted", note)


def taken(folder: Path, number: int) -> Prediction | None:
    """What was left there, or None."""
    path = folder / f"{number}.noted"
    return arrays.read(path, Prediction) if path.is_file() else None
