"""The U-Net as it was published, in any size."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from toolkit.plugins.alone import Alone
from toolkit.plugins.specs import Network
from toolkit.values.prediction import Head

if TYPE_CHECKING:
    import torch

MODULE = "toolkit.builtin.networks.plain_unet_module"
Step = Annotated[int, Field(ge=1, le=8)]


class Plain(Network):
    """U-Net (Ronneberger et al. 2015): on each level convolutions of 3^D and ReLU, maps ×`growth` per level, maximum
    pooling, constant upsampling, concatenation, one 1×1 convolution for all heads. Convolutions are padded to `same`.

    Nothing in it gives neighbouring voxels different weights, as transposed convolutions do: its maps have no
    checkerboards.
    """

    maps: Annotated[int, Field(ge=1)] = 16
    """Feature maps of the first level."""
    growth: Annotated[int, Field(ge=1, le=8)] = 2
    """Factor of the maps from level to level."""
    levels: Annotated[int, Field(ge=1, le=7)] = 5
    """Resolutions."""
    convolutions: Annotated[int, Field(ge=1, le=4)] = 2
    """Convolutions of each level, on the way down and on the way up."""
    pooling: tuple[Step | tuple[Step, ...], ...] | None = None
    """Pooling between neighbouring levels, one number or one per axis `(Z)YX`; null is 2 everywhere. Volumes with
    thick slices want `[[1, 2, 2], …]` until their voxels are about cubes."""
    norm: Literal["none", "batch"] = "batch"
    """Batch normalisation before each ReLU."""

    @model_validator(mode="after")
    def _one_pooling_per_step(self) -> Self:
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
                raise ValueError(f"pooling has a step for {len(step)} axes, the image has {ndim}")
        return tuple(prod(step[axis] for step in self.steps(ndim)) for axis in range(ndim))

    def shares(self) -> tuple[Network, tuple[str, ...]]:
        return self, ("down.", "up.")

    def up(self, down: list[int]) -> list[int]:
        """Maps on the way up, from the coarsest level but one; `down` are those of the levels, finest first."""
        return down[-2::-1]

    def trunk(self, channels: int, ndim: int) -> dict[str, Any]:
        """The arguments of the module `Trunk`."""
        down = [self.maps * self.growth**level for level in range(self.levels)]
        return {"channels": channels, "down": down, "up": self.up(down), "steps": self.steps(ndim), "ndim": ndim,
                "convolutions": self.convolutions, "norm": self.norm == "batch"}  # fmt: skip

    def build(self, channels: int, heads: tuple[Head, ...], ndim: int) -> torch.nn.Module:
        from toolkit.builtin.networks.plain_unet_module import PlainUNetModule

        return PlainUNetModule(heads, **self.trunk(channels, ndim))

    def alone(self, channels: int, heads: tuple[Head, ...], ndim: int) -> Alone | None:
        if type(self).build is not Plain.build:
            return None
        return Alone((MODULE,), "PlainUNetModule", self.trunk(channels, ndim))


class PlainUNet(Plain):
    """The U-Net as it was published (Ronneberger et al. 2015), in a size for CPUs: maximum pooling, constant
    upsampling."""

    kind: Literal["plain_unet"] = "plain_unet"
