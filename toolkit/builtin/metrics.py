"""The built-in metrics."""

from __future__ import annotations

from toolkit.builtin.aggregated import AJI, SBD, SEG
from toolkit.builtin.cldice import ClDice
from toolkit.builtin.coco import APCoco
from toolkit.builtin.fisbe import FISBe
from toolkit.builtin.matched import F1, S
from toolkit.builtin.panoptic import PQ
from toolkit.builtin.partitions import ARAND, ISBI, VOI
from toolkit.builtin.points import Detection
from toolkit.specs import Metric

METRICS: tuple[type[Metric], ...] = (S, F1, PQ, APCoco, AJI, SEG, SBD, VOI, ARAND, ISBI, Detection, ClDice, FISBe)
