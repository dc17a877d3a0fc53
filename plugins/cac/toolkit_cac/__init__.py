"""Cross-representation affinity consistency (Liu et al.): instances from a few annotated objects per image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from toolkit.api import Loss, Network, hookimpl
from toolkit_cac.loss import CacLoss
from toolkit_cac.network import ResidualUNet
from toolkit_cac.spoco import SpocoLoss

SEG_API = 2


@hookimpl
def seg_networks() -> Sequence[type[Network]]:
    return (ResidualUNet,)


@hookimpl
def seg_losses() -> Sequence[type[Loss]]:
    return (CacLoss, SpocoLoss)


@hookimpl
def seg_recipes() -> Sequence[Path]:
    return sorted((Path(__file__).parent / "recipes").glob("*.yaml"))
