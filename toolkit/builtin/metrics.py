"""The built-in metrics."""

from __future__ import annotations

from toolkit.builtin.matched import F1, S
from toolkit.specs import Metric

METRICS: tuple[type[Metric], ...] = (S, F1)
