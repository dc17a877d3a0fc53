"""EmbedSeg (Lalit, Tomancak and Jug, 2021): objects as clusters of spatial embeddings around seeds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from toolkit.api import Loss, Network, PostProcessor, hookimpl
from toolkit_embedseg.cluster import EmbedSegClusters
from toolkit_embedseg.loss import EmbedSegLoss
from toolkit_embedseg.network import BranchedErfNet, Sliced

SEG_API = 2


@hookimpl
def seg_networks() -> Sequence[type[Network]]:
    return BranchedErfNet, Sliced


@hookimpl
def seg_losses() -> Sequence[type[Loss]]:
    return (EmbedSegLoss,)


@hookimpl
def seg_postprocessors() -> Sequence[type[PostProcessor]]:
    return (EmbedSegClusters,)


@hookimpl
def seg_recipes() -> Sequence[Path]:
    return sorted((Path(__file__).parent / "recipes").glob("*.yaml"))
