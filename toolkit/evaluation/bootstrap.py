"""Bootstrap over images: how far a summary would move if other images of the same kind had been taken."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from toolkit.plugins.metric import Counts, Metric

Floats = NDArray[np.float64]
POOLED = " pooled"


def draw(images: int, samples: int, seed: int) -> NDArray[np.int64]:
    """`(samples, images)`: how often each image is in each sample, drawn with replacement."""
    generator = np.random.default_rng(seed)
    return generator.multinomial(images, np.full(images, 1.0 / images), size=samples).astype(np.int64)


def resample(metric: Metric, counts: Sequence[Counts], weights: NDArray[np.int64]) -> dict[str, Floats]:
    """Every value of `metric.summarise` in each bootstrap sample, `(samples,)`; NaN where it is undefined."""
    single = [metric.summarise([c]) for c in counts]
    out = {
        key: _means(np.array([values[key] for values in single]), weights)
        for key in single[0]
        if not key.endswith(POOLED)
    }
    if any(key.endswith(POOLED) for key in single[0]):
        out |= {key: value for key, value in metric.resampled(counts, weights).items() if key.endswith(POOLED)}
    return out


def interval(values: Floats, level: float = 0.95) -> list[float] | None:
    """Percentile interval, or None where the value is undefined in every sample."""
    defined = values[~np.isnan(values)]
    if not len(defined):
        return None
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return [float(low), float(high)]


def _means(values: Floats, weights: NDArray[np.int64]) -> Floats:
    known = ~np.isnan(values)
    total = weights @ known.astype(np.float64)
    sums = weights @ np.where(known, values, 0.0)
    return np.asarray(np.divide(sums, total, out=np.full(len(weights), np.nan), where=total > 0))
