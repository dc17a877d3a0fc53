"""Branched ERF-Net: one encoder, one decoder for maps that keep their values under rotation and one for the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from toolkit.errors import UsageError
from toolkit.prediction import Head
from toolkit.specs import Network
from toolkit.survey import Deduced, Survey
from toolkit_embedseg.geometry import anisotropy

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


class SlicedErfNet(Network):
    """A 2-D branched ERF-Net on the planes of a volume along its three axes, averaged (`3d-sliced`).

    It takes the weights of a 2-D model: `seg run volume.tif --model MODEL --recipe embedseg-3d-sliced`.
    """

    kind: Literal["erfnet_sliced"] = "erfnet_sliced"
    width: Annotated[float, Field(gt=0, le=4)] = 1.0
    """That of the 2-D network."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.3
    anisotropy: tuple[Annotated[float, Field(gt=0)], ...] = ()
    """As in the loss: voxel size relative to that of the last axis; empty means cubes."""

    def stride(self, ndim: int) -> tuple[int, ...]:
        return (1, 8, 8)[-ndim:]

    def borrows(self, other: Network) -> bool:
        return isinstance(other, BranchedErfNet | SlicedErfNet) and other.width == self.width

    def deduced(self, survey: Survey) -> Deduced:
        return {"anisotropy": anisotropy(survey)}

    def build(self, channels: int, heads: tuple[Head, ...], ndim: int) -> torch.nn.Module:
        from toolkit_embedseg.sliced import SlicedNet

        other = [h.name for h in heads if h.transform not in ("scalar", "vector", "extent")]
        if ndim != 3 or other or len(self.anisotropy) not in (0, 3):
            raise UsageError(
                "a sliced network works on volumes, on heads of scalars and vectors, and with one anisotropy per axis",
                f"{ndim} axes, anisotropy {list(self.anisotropy)}{', heads ' * bool(other)}{', '.join(other)}",
                "choose --set network=erfnet",
            )
        return SlicedNet(channels, heads, self.anisotropy, width=self.width, dropout=self.dropout)
