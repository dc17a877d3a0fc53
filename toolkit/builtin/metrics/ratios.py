"""Ratios of counts, per image and pooled, with a stated value for nothing over nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.plugins.metric import Counts

Floats = NDArray[np.float64]


def gather(counts: Sequence[Counts], name: str) -> Floats:
    """One number or list of each image: `(images, length)`."""
    rows: list[Any] = [np.atleast_1d(c[name]) for c in counts]
    return np.asarray(rows, np.float64).reshape(len(rows), -1)


def ratio(part: Floats, whole: Floats, nothing: float) -> Floats:
    """part / whole, and `nothing` where whole is 0."""
    return np.asarray(np.divide(part, whole, out=np.full(np.shape(whole), nothing), where=whole > 0))


def mean_defined(values: Floats) -> Floats:
    """Mean over the first axis of what is not NaN; NaN where nothing is defined."""
    known = ~np.isnan(values)
    return ratio(np.where(known, values, 0.0).sum(0), known.sum(0).astype(np.float64), np.nan)
