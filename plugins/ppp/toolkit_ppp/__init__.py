"""PatchPerPix (Mais, Hirsch and Kainmueller, 2020): instances, overlapping ones too, assembled from patches."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from toolkit.api import Loss, Network, PostProcessor, hookimpl
from toolkit_ppp.loss import AutoencoderLoss, CodeLoss, PatchLoss
from toolkit_ppp.mws_dense import DenseMutexWatershed
from toolkit_ppp.network import PatchCoder, PatchUNet, PatchWindow
from toolkit_ppp.patchperpix import PatchPerPix

SEG_API = 2


@hookimpl
def seg_networks() -> Sequence[type[Network]]:
    return (PatchUNet, PatchCoder, PatchWindow)


@hookimpl
def seg_losses() -> Sequence[type[Loss]]:
    return (PatchLoss, AutoencoderLoss, CodeLoss)


@hookimpl
def seg_postprocessors() -> Sequence[type[PostProcessor]]:
    return (PatchPerPix, DenseMutexWatershed)


@hookimpl
def seg_recipes() -> Sequence[Path]:
    return sorted((Path(__file__).parent / "recipes").glob("*.yaml"))
