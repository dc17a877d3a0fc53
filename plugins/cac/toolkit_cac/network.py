"""The residual U-Net of both branches and of the network that judges them."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from toolkit.api import Head, Network

if TYPE_CHECKING:
    import torch

Step = Annotated[int, Field(ge=1, le=8)]


class ResidualUNet(Network):
    """Residual symmetric U-Net (Lee et al. 2017): each level is a convolution in the plane and a residual pair of full
    ones, levels are summed with those of the way down, the first and the last convolution see 5 × 5 voxels of a plane.

    With `embedding`, a head that has `offsets` is no output of its own: the network gives each voxel a vector of length
    1, and the affinity of a pair is the product of its two vectors, in [−1, 1]; 0 where the other end is beyond the
    window. With `reach`, vectors have any length, and the affinity, in [0, 1], tells how near they are.

    The published branches have 1.48 M parameters and 87.3 · 10⁹ multiply-adds at 18 × 160 × 160 voxels (supplement,
    Table 2); this has 1.48 M and 86.9 · 10⁹.
    """

    kind: Literal["residual_unet"] = "residual_unet"
    maps: tuple[Annotated[int, Field(ge=1)], ...] = Field(default=(28, 36, 48, 64, 80), min_length=2)
    """Feature maps of each level, finest first (reference)."""
    pooling: tuple[Step | tuple[Step, ...], ...] | None = None
    """Pooling between neighbouring levels, one number or one per axis `(Z)YX`; null is 2 in the plane and 1 across it
    (reference), for volumes with thick slices."""
    embedding: Annotated[int, Field(ge=2)] | None = 16
    """Length of a voxel's vector (reference: 16); null: affinities are outputs of their own."""
    reach: Annotated[float, Field(gt=0)] | None = None
    """Distance of two vectors from which on their affinity is 0: it is (1 − distance/reach)² (Lee et al. 2021, with
    twice the margin that a loss such as `spoco` wants between objects); null: the product of vectors of length 1."""

    @model_validator(mode="after")
    def _one_pooling_per_step(self) -> ResidualUNet:
        if self.pooling is not None and len(self.pooling) != len(self.maps) - 1:
            raise ValueError(f"pooling has {len(self.pooling)} entries, {len(self.maps)} levels need one fewer")
        return self

    @model_validator(mode="after")
    def _vectors_have_distances(self) -> ResidualUNet:
        if self.reach is not None and self.embedding is None:
            raise ValueError("reach is a distance of vectors: give embedding a length, or set reach to null")
        return self

    def steps(self, ndim: int) -> tuple[tuple[int, ...], ...]:
        """The pooling of each step, per axis."""
        pooling = self.pooling if self.pooling is not None else ((1, 2, 2)[-ndim:],) * (len(self.maps) - 1)
        return tuple((s,) * ndim if isinstance(s, int) else s for s in pooling)

    def stride(self, ndim: int) -> tuple[int, ...]:
        for step in self.steps(ndim):
            if len(step) != ndim:
                raise ValueError(f"pooling has a step for {len(step)} axes, the image has {ndim}")
        return tuple(prod(step[axis] for step in self.steps(ndim)) for axis in range(ndim))

    def shares(self) -> tuple[Network, tuple[str, ...]]:
        return self, ("first.", "down.", "merge.", "up.", "last.")

    def build(self, channels: int, heads: tuple[Head, ...], ndim: int) -> torch.nn.Module:
        from toolkit_cac.network_module import ResidualUNetModule

        return ResidualUNetModule(channels, heads, self.maps, self.steps(ndim), ndim, self.embedding, self.reach)
