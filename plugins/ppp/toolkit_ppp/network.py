"""The network that predicts a patch at every pixel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from toolkit.prediction import Head
from toolkit.specs import Network

if TYPE_CHECKING:
    import torch


class PatchUNet(Network):
    """U-Net whose way up keeps its number of maps, because hundreds of outputs need more than tens of maps (paper,
    2.2). Heads are linear in its last maps. Levels halve the resolution; convolutions are padded to `same`.

    In training, heads of patches are evaluated only where the loss looks at them.
    """

    kind: Literal["ppp_unet"] = "ppp_unet"
    maps: Annotated[int, Field(ge=1)] = 40
    """Feature maps of the first level (paper: 40, nuclei3d 20, neurons 12)."""
    growth: Annotated[int, Field(ge=1, le=8)] = 2
    """Factor of the maps from level to level (paper: 2, in 3-D 3)."""
    levels: Annotated[int, Field(ge=1, le=7)] = 4
    """Resolutions (paper: 4, in 3-D 3)."""
    convolutions: Annotated[int, Field(ge=1, le=4)] = 2
    """Convolutions of 3^D of each level, on the way down and on the way up."""
    upward: Literal["constant", "decreasing"] = "constant"
    """Maps on the way up: as many on each level (paper), or those of the way down (standard U-Net, paper Table 2)."""
    upward_maps: Annotated[int, Field(ge=1)] | None = None
    """Number of maps of a constant way up; null: those of the coarsest level (paper)."""
    pooling: tuple[tuple[Annotated[int, Field(ge=1, le=8)], ...], ...] | None = None
    """Steps between neighbouring levels, per axis; null is 2 everywhere (paper)."""
    norm: Literal["none", "batch"] = "none"
    """Batch normalisation before each ReLU (paper: none)."""

    def steps(self, ndim: int) -> tuple[tuple[int, ...], ...]:
        """The pooling of each step, per axis."""
        steps = self.pooling if self.pooling is not None else ((2,) * ndim,) * (self.levels - 1)
        if len(steps) != self.levels - 1 or any(len(step) != ndim for step in steps):
            raise ValueError(f"network.pooling needs {self.levels - 1} steps of {ndim} numbers, it is {list(steps)}")
        return steps

    def stride(self, ndim: int) -> tuple[int, ...]:
        product = [1] * ndim
        for step in self.steps(ndim):
            product = [p * s for p, s in zip(product, step, strict=True)]
        return tuple(product)

    def build(self, channels: int, heads: tuple[Head, ...], ndim: int) -> torch.nn.Module:
        from toolkit_ppp.unet import PatchModule

        return PatchModule(self, channels, heads, ndim)
