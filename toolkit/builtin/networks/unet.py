"""A U-Net for any heads, 2-D and 3-D."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, model_validator

from toolkit.plugins.alone import Alone
from toolkit.plugins.specs import Network
from toolkit.values.prediction import Head

if TYPE_CHECKING:
    import torch

BEGIN, MODULE = "toolkit.builtin.networks.plain_unet_module", "toolkit.builtin.networks.unet_module"
Step = Annotated[int, Field(ge=1, le=8)]


class UNet(Network):
    """U-Net with residual units (Kerfoot et al. 2019), as MONAI builds it, and one 1×1 convolution for all heads."""

    kind: Literal["unet"] = "unet"
    maps: tuple[Annotated[int, Field(ge=1)], ...] = Field(default=(16, 32, 64, 128), min_length=2)
    """Feature maps of each level, finest first."""
    strides: tuple[Step | tuple[Step, ...], ...] | None = None
    """Downsampling between neighbouring levels, one number or one per axis `(Z)YX`; null is 2 everywhere. Volumes with
    thick slices want `[1, 2, 2]` until their voxels are about isotropic."""
    units: Annotated[int, Field(ge=0, le=4)] = 2
    """Convolutions of a residual unit; 0 is one plain convolution per level."""
    norm: Literal["batch", "instance"] = "batch"
    """`batch` treats every window alike, an empty one too; `instance` suits batches of one crop."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0

    @model_validator(mode="after")
    def _one_stride_per_step(self) -> UNet:
        if self.strides is not None and len(self.strides) != len(self.maps) - 1:
            raise ValueError(f"strides has {len(self.strides)} entries, {len(self.maps)} levels need one fewer")
        return self

    def steps(self, ndim: int) -> tuple[tuple[int, ...], ...]:
        """The downsampling of each step, per axis."""
        strides = self.strides or (2,) * (len(self.maps) - 1)
        return tuple((s,) * ndim if isinstance(s, int) else s for s in strides)

    def stride(self, ndim: int) -> tuple[int, ...]:
        total = [1] * ndim
        for step in self.steps(ndim):
            if len(step) != ndim:
                raise ValueError(f"strides has a step for {len(step)} axes, the image has {ndim}")
            total = [t * s for t, s in zip(total, step, strict=True)]
        return tuple(total)

    def shares(self) -> tuple[Network, tuple[str, ...]]:
        return self, ("body.",)

    def build(self, channels: int, heads: tuple[Head, ...], ndim: int) -> torch.nn.Module:
        from toolkit.builtin.networks.unet_module import UNetModule

        return UNetModule(heads=heads, **self._arguments(channels, ndim))

    def alone(self, channels: int, heads: tuple[Head, ...], ndim: int) -> Alone:
        return Alone((BEGIN, MODULE), "UNetModule", self._arguments(channels, ndim), ("monai",))

    def _arguments(self, channels: int, ndim: int) -> dict[str, Any]:
        return {"channels": channels, "ndim": ndim, "maps": self.maps, "strides": self.steps(ndim),
                "units": self.units, "norm": self.norm, "dropout": self.dropout}  # fmt: skip
