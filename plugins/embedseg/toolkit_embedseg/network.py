"""Branched ERF-Net, and any 2-D network on the planes of volumes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from toolkit.api import Deduced, Head, Network, PlainUNet, Survey
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

    def shares(self) -> tuple[Network, tuple[str, ...]]:
        return self, ("encoder.",)  # which decoders there are depends on the heads

    def build(self, channels: int, heads: tuple[Head, ...], ndim: int) -> torch.nn.Module:
        from toolkit_embedseg.erfnet import ErfNet

        return ErfNet(channels, heads, ndim, width=self.width, dropout=self.dropout)


class Sliced(Network):
    """A 2-D network on the planes of a volume along its three axes, averaged (`3d-sliced`).

    It takes the weights of a 2-D model: `seg run volume.tif --model MODEL --recipe embedseg-3d-sliced`.
    """

    kind: Literal["sliced"] = "sliced"
    of: Annotated[BranchedErfNet | PlainUNet, Field(discriminator="kind")] = PlainUNet()
    """The 2-D network."""
    anisotropy: tuple[Annotated[float, Field(gt=0)], ...] = ()
    """As in the loss: voxel size relative to that of the last axis; empty means cubes."""

    def stride(self, ndim: int) -> tuple[int, ...]:
        return (1, *self.of.stride(2))[-ndim:]

    def shares(self) -> tuple[Network, tuple[str, ...]]:
        return self.of.shares()

    def deduced(self, survey: Survey) -> Deduced:
        return {"anisotropy": anisotropy(survey)}

    def build(self, channels: int, heads: tuple[Head, ...], ndim: int) -> torch.nn.Module:
        from toolkit_embedseg.sliced import SlicedModule

        other = [h.name for h in heads if h.transform not in ("scalar", "vector", "extent")]
        if ndim != 3 or other or len(self.anisotropy) not in (0, 3):
            raise ValueError(
                "a sliced network works on volumes, on heads of scalars and vectors, and with one anisotropy per axis: "
                f"{ndim} axes, anisotropy {list(self.anisotropy)}{', heads ' * bool(other)}{', '.join(other)}; "
                f"choose --set network={self.of.kind}"
            )
        flat = tuple(h if h.transform == "scalar" else replace(h, channels=2) for h in heads)
        scalars = {h.name for h in heads if h.transform == "scalar"}
        return SlicedModule(self.of.build(channels, flat, 2), self.of.stride(2), self.anisotropy, scalars)
