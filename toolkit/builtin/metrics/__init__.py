"""The built-in metrics."""

from __future__ import annotations

from toolkit.builtin.metrics.aggregated import AJI, SBD, SEG
from toolkit.builtin.metrics.cldice import ClDice
from toolkit.builtin.metrics.coco import APCoco
from toolkit.builtin.metrics.fisbe import FISBe
from toolkit.builtin.metrics.matched import F1, S
from toolkit.builtin.metrics.panoptic import PQ
from toolkit.builtin.metrics.partitions import ARAND, ISBI, VOI
from toolkit.builtin.metrics.points import Detection
from toolkit.plugins.metric import Metric

METRICS: tuple[type[Metric], ...] = (S, F1, PQ, APCoco, AJI, SEG, SBD, VOI, ARAND, ISBI, Detection, ClDice, FISBe)
