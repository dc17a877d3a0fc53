"""The modules behind `plain_unet` and all that build on it. B C *S: batch, channels, space."""

# ruff: noqa: TID253
# Only the `build()` of networks imports this file.

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from toolkit.values.prediction import Head


class Trunk(nn.Module):
    """A U-Net without its heads; every axis of S is a multiple of the stride.

    `down` and `up`: maps of each level, from the finest down, and from the coarsest but one up. `steps`: the pooling
    between neighbouring levels. `convolutions`, `norm` and `he` are those of `level`.
    """

    def __init__(
        self,
        channels: int,
        down: Sequence[int],
        up: Sequence[int],
        steps: Sequence[tuple[int, ...]],
        ndim: int,
        convolutions: int,
        norm: bool,
        he: bool = False,
    ) -> None:
        super().__init__()
        pooling, how = nn.MaxPool2d if ndim == 2 else nn.MaxPool3d, (ndim, convolutions, norm, he)
        self.pools = nn.ModuleList([nn.Identity(), *(pooling(step) for step in steps)])
        self.down = nn.ModuleList(level(a, b, *how) for a, b in zip([channels, *down], down, strict=False))
        self.up = nn.ModuleList(
            level(beside + below, here, *how)
            for beside, below, here in zip(down[-2::-1], [down[-1], *up], up, strict=False)
        )
        self.outputs = [*down[-1:], *up][-1]
        self.steps, self.across = tuple(steps), nn.ModuleList()

    def forward(self, image: Tensor) -> Any:
        """`(B, channels, *S) -> (B, outputs, *S)`: the last maps."""
        maps, beside = image, []
        for pool, layers in zip(self.pools, self.down, strict=True):
            maps = layers(pool(maps))
            beside.append(maps)
        up: Any
        for n, (up, skipped) in enumerate(zip(self.up, beside[-2::-1], strict=True)):
            if self.across:
                maps = up[1](up[0](skipped).add_(self.across[n](maps)))
            else:
                maps = up(torch.cat([skipped, functional.interpolate(maps, size=skipped.shape[2:])], 1))
        return maps

    def lean(self) -> None:
        """Compute the same, for inference alone, with two fifths fewer operations on the way up and no copies: what a
        convolution makes of enlarged maps is a transposed convolution of those maps."""
        layers: Any
        skipped: Any
        transposed: Any = nn.ConvTranspose2d if len(self.steps[0]) == 2 else nn.ConvTranspose3d
        for n, (layers, skipped, step) in enumerate(zip(self.up, self.down[-2::-1], self.steps[::-1], strict=True)):
            first, beside = layers[0], skipped[0].out_channels
            below, extent = first.in_channels - beside, tuple(s + 2 for s in step)
            across = transposed(below, first.out_channels, extent, stride=step, padding=1, bias=False)
            across.weight = nn.Parameter(enlarging(first.weight.detach()[:, beside:], step).transpose(0, 1))
            first.weight = nn.Parameter(first.weight.detach()[:, :beside])
            first.in_channels = beside
            self.across.append(across)
            self.up[n] = nn.Sequential(first, layers[1:])


class PlainUNetModule(Trunk):
    """`(B, channels, *S) -> {head: (B, head.channels, *S)}`, raw; `trunk` are the arguments of `Trunk`."""

    precise = ("out",)
    """Stays in 32 bits where the rest computes in 16: rounded offsets would cost objects, this layer costs little."""

    def __init__(self, heads: Sequence[Head], ndim: int, **trunk: Any) -> None:
        super().__init__(ndim=ndim, **trunk)
        self.names, self.sizes = [head.name for head in heads], [head.channels for head in heads]
        self.out = (nn.Conv2d if ndim == 2 else nn.Conv3d)(self.outputs, sum(self.sizes), 1)
        begin(heads, self.out)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        return dict(zip(self.names, torch.split(self.out(super().forward(image)), self.sizes, 1), strict=True))


def enlarging(weight: Tensor, step: Sequence[int]) -> Tensor:
    """The weight `(out, in, *(s + 2))` of the transposed convolution that enlarges maps by `step` and convolves them
    with `weight` `(out, in, 3, …)` at once."""
    found = weight.flip(tuple(range(2, weight.ndim)))
    for axis, times in enumerate(step, start=2):
        gap = list(found.shape)
        gap[axis] = times - 1
        wide = torch.cat([found, found.new_zeros(gap)], axis)
        found = torch.stack([wide.roll(shift, axis) for shift in range(times)]).sum(0)
    return found


def level(
    inside: int, outside: int, ndim: int, convolutions: int, norm: bool, he: bool = False, extent: int = 3
) -> nn.Sequential:
    """`convolutions` of `extent`, each with its ReLU, and batch normalisation before it if `norm` says so; `he` begins
    so that what passes many of them without it neither grows nor fades (He et al. 2015)."""
    convolution, batch_norm = (nn.Conv2d, nn.BatchNorm2d) if ndim == 2 else (nn.Conv3d, nn.BatchNorm3d)
    layers: list[nn.Module] = []
    for at in range(convolutions):
        layer = convolution(outside if at else inside, outside, extent, padding=extent // 2)
        layers.append(layer)
        if norm:
            layers.append(batch_norm(outside))
        elif he:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)
        layers.append(nn.ReLU())
    return nn.Sequential(*layers)


def begin(heads: Sequence[Head], last: nn.Module, outputs: int = 0) -> None:
    """Let a last layer give the heads their initial values, where they have one; `outputs` is the axis of its weight
    that belongs to them."""
    sizes, weight, bias = [head.channels for head in heads], last.weight, last.bias
    assert isinstance(weight, Tensor), "a layer of one weight"
    assert isinstance(bias, Tensor), "and a bias"
    parts = torch.split(weight.detach(), sizes, outputs), torch.split(bias.detach(), sizes)
    for head, of_weight, of_bias in zip(heads, *parts, strict=True):
        if head.initial is not None:
            of_weight.zero_()
            of_bias.fill_(head.initial)
