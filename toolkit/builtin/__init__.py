"""The built-in plugin: two U-Nets, foreground by cross-entropy and Dice, four post-processors, the metrics."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from toolkit.builtin.losses.bce_dice import BceDice
from toolkit.builtin.networks.image import ImageItself
from toolkit.builtin.networks.plain_unet import PlainUNet
from toolkit.builtin.networks.unet import UNet
from toolkit.builtin.packaged import Packaged, PackagedHeads
from toolkit.builtin.postprocessors.agglomeration import Agglomeration
from toolkit.builtin.postprocessors.instances import AsInstances
from toolkit.builtin.postprocessors.mutex import MutexWatershed
from toolkit.builtin.postprocessors.threshold import Threshold
from toolkit.builtin.postprocessors.watershed import Watershed
from toolkit.plugins import hookimpl
from toolkit.plugins.metric import Metric
from toolkit.plugins.specs import Loss, Network, PostProcessor

SEG_API = 2


@hookimpl
def seg_networks() -> Sequence[type[Network]]:
    return (UNet, PlainUNet, ImageItself, Packaged)


@hookimpl
def seg_losses() -> Sequence[type[Loss]]:
    return (BceDice, PackagedHeads)


@hookimpl
def seg_postprocessors() -> Sequence[type[PostProcessor]]:
    return (Threshold, Watershed, MutexWatershed, Agglomeration, AsInstances)


@hookimpl
def seg_metrics() -> Sequence[type[Metric]]:
    from toolkit.builtin.metrics import METRICS  # a run has no use for them

    return METRICS


@hookimpl
def seg_recipes() -> Sequence[Path]:
    return sorted((Path(__file__).parent / "recipes").glob("*.yaml"))
