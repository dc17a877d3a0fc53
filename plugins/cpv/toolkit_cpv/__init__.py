"""Centre-point vectors (Hirsch and Kainmueller, 2020): an auxiliary task, and the models that it was published with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from toolkit.api import Loss, Network, PostProcessor, hookimpl
from toolkit_cpv.affinities import AffinitiesLoss
from toolkit_cpv.cpv import CpvLoss
from toolkit_cpv.gauss import GaussLoss
from toolkit_cpv.network import CpvUNet
from toolkit_cpv.points import Points
from toolkit_cpv.sdt import SdtLoss
from toolkit_cpv.three_label import ThreeLabelLoss
from toolkit_cpv.watershed import AffinitiesWatershed, SdtWatershed, ThreeLabelWatershed

SEG_API = 2


@hookimpl
def seg_networks() -> Sequence[type[Network]]:
    return (CpvUNet,)


@hookimpl
def seg_losses() -> Sequence[type[Loss]]:
    return (ThreeLabelLoss, SdtLoss, AffinitiesLoss, GaussLoss, CpvLoss)


@hookimpl
def seg_postprocessors() -> Sequence[type[PostProcessor]]:
    return (ThreeLabelWatershed, SdtWatershed, AffinitiesWatershed, Points)


@hookimpl
def seg_recipes() -> Sequence[Path]:
    return sorted((Path(__file__).parent / "recipes").glob("*.yaml"))
