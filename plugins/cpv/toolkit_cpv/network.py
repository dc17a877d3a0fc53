"""The U-Net of the paper."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from toolkit.prediction import Head
from toolkit.specs import Network

if TYPE_CHECKING:
    import torch

Step = Annotated[int, Field(ge=1, le=8)]


class CpvUNet(Network):
    """U-Net with constant upsampling (paper App. B): on each level convolutions of 3^D and ReLU, maps ×`growth` per
    level, maximum pooling, concatenation, one 1×1 convolution for all heads.

    Convolutions are padded to `same` where the paper's are valid: the toolkit's windows overlap, so that with an
    overlap of twice the field of view (23 voxels of 3 levels) only voxels at the border of the image see the padding.
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
    pooling: tuple[Step | tuple[Step, ...], ...] | None = None
    """Pooling between neighbouring levels, one number or one per axis `(Z)YX`; null is 2 everywhere (paper). Volumes
    with thick slices want `[[1, 2, 2], …]` until their voxels are about cubes."""
    norm: Literal["none", "batch"] = "none"
    """Batch normalisation before each ReLU (paper: none)."""

    @model_validator(mode="after")
    def _one_pooling_per_step(self) -> CpvUNet:
        if self.pooling is not None and len(self.pooling) != self.levels - 1:
            raise ValueError(f"pooling has {len(self.pooling)} entries, {self.levels} levels need one fewer")
        return self

    def steps(self, ndim: int) -> tuple[tuple[int, ...], ...]:
        """The pooling of each step, per axis."""
        pooling = self.pooling if self.pooling is not None else (2,) * (self.levels - 1)
        return tuple((s,) * ndim if isinstance(s, int) else s for s in pooling)

    def stride(self, ndim: int) -> tuple[int, ...]:
        for step in self.steps(ndim):
            if len(step) != ndim:
                raise ValueError(f"network.pooling has a step for {len(step)} axes, the image has {ndim}")
        return tuple(prod(step[axis] for step in self.steps(ndim)) for axis in range(ndim))

    def build(self, channels: int, heads: tuple[Head, ...], ndim: int) -> torch.nn.Module:
        from toolkit_cpv.unet import UNetModule

        return UNetModule(self, channels, heads, ndim)
