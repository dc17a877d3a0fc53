"""Branched ERF-Net: one encoder, one decoder for maps that keep their values under rotation and one for the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from toolkit.prediction import Head
from toolkit.specs import Network

if TYPE_CHECKING:
    import torch


class BranchedErfNet(Network):
    """ERF-Net (Romera et al. 2018) with two decoders (Neven et al. 2019; EmbedSeg paper §2), 2-D and 3-D.

    Heads whose `transform` is `scalar` (seediness) leave from one decoder, all others (offsets, bandwidths) from the
    other; a decoder without heads is not built.
    """

    kind: Literal["erfnet"] = "erfnet"
    width: Annotated[float, Field(gt=0, le=4)] = 1.0
    """Factor on the published numbers of maps (16, 64, 128); never fewer than 16 maps."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.3
    """Dropout in the deepest layers; a tenth of it in the layers above, as published."""

    def stride(self, ndim: int) -> tuple[int, ...]:
        return (8,) * ndim

    def build(self, channels: int, heads: tuple[Head, ...], ndim: int) -> torch.nn.Module:
        from toolkit_embedseg.erfnet import ErfNet

        return ErfNet(channels, heads, ndim, width=self.width, dropout=self.dropout)
