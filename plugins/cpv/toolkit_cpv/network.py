"""The U-Net of the paper."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from toolkit.prediction import Head
from toolkit.specs import Network

if TYPE_CHECKING:
    import torch

Step = Annotated[int, Field(ge=1, le=8)]


class CpvUNet(Network):
    """U-Net with constant upsampling (paper App. B): on each level convolutions of 3^D and ReLU, maps ×`growth` per
    level, maximum pooling, concatenation, one 1×1 convolution for all heads.

    Convolutions are padded to `same` where the paper's are valid: the toolkit's windows overlap, so that with an
    overlap of twice the field of view (22 voxels of 3 levels) only voxels at the border of the image see the padding.
    """

    kind: Literal["cpv_unet"] = "cpv_unet"
    maps: Annotated[int, Field(ge=1)] = 10
    """Feature maps of the first level (paper: 10)."""
    growth: Annotated[int, Field(ge=1, le=8)] = 4
    """Factor of the maps from level to level (paper: 4)."""
    levels: Annotated[int, Field(ge=1, le=6)] = 3
    """Resolutions (paper: 3)."""
    convolutions: Annotated[int, Field(ge=1, le=4)] = 2
    """Convolutions of each level, on the way down and on the way up (paper: 2)."""
    pooling: tuple[Step, ...] = ()
    """Pooling between levels per axis `(Z)YX`; empty is 2 on all (paper). `[1, 2, 2]` suits thick slices."""
    norm: Literal["none", "batch"] = "none"
    """Batch normalisation before each ReLU (paper: none)."""

    def step(self, ndim: int) -> tuple[int, ...]:
        """The pooling per axis."""
        step = self.pooling or (2,) * ndim
        if len(step) != ndim:
            raise ValueError(f"network.pooling has {len(step)} axes, the image has {ndim}")
        return step

    def stride(self, ndim: int) -> tuple[int, ...]:
        return tuple(s ** (self.levels - 1) for s in self.step(ndim))

    def build(self, channels: int, heads: tuple[Head, ...], ndim: int) -> torch.nn.Module:
        from toolkit_cpv.unet import UNetModule

        return UNetModule(self, channels, heads, ndim)
