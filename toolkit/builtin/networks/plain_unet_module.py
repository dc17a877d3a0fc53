"""The module behind `plain_unet`. B C *S: batch, channels, space."""

# ruff: noqa: TID253
# Only `Plain.build` imports this file.

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from toolkit.values.prediction import Head

if TYPE_CHECKING:
    from toolkit.builtin.networks.plain_unet import Plain


class PlainUNetModule(nn.Module):
    """`(B, channels, *S) -> {head: (B, head.channels, *S)}`, raw; every axis of S is a multiple of the stride."""

    def __init__(self, spec: Plain, channels: int, heads: tuple[Head, ...], ndim: int) -> None:
        super().__init__()
        pooling = nn.MaxPool2d if ndim == 2 else nn.MaxPool3d
        self.pools = nn.ModuleList([nn.Identity(), *(pooling(step) for step in spec.steps(ndim))])
        maps = [spec.maps * spec.growth**level for level in range(spec.levels)]
        self.down = nn.ModuleList(
            _level(spec, inside, outside, ndim) for inside, outside in zip([channels, *maps], maps, strict=False)
        )
        self.up = nn.ModuleList(
            _level(spec, here + below, here, ndim) for here, below in zip(maps[-2::-1], maps[:0:-1], strict=True)
        )
        self.names = [head.name for head in heads]
        self.sizes = [head.channels for head in heads]
        self.out = _convolution(ndim)(maps[0], sum(self.sizes), 1)
        parts = zip(heads, *(torch.split(p.detach(), self.sizes) for p in self.out.parameters()), strict=True)
        for head, weight, bias in parts:
            if head.initial is not None:
                weight.zero_()
                bias.fill_(head.initial)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        maps, beside = image, []
        for pool, down in zip(self.pools, self.down, strict=True):
            maps = down(pool(maps))
            beside.append(maps)
        for up, skipped in zip(self.up, beside[-2::-1], strict=True):
            grown = functional.interpolate(maps, size=skipped.shape[2:], mode="nearest")
            maps = up(torch.cat([skipped, grown], 1))
        return dict(zip(self.names, torch.split(self.out(maps), self.sizes, 1), strict=True))


def _level(spec: Plain, inside: int, outside: int, ndim: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for number in range(spec.convolutions):
        layers.append(_convolution(ndim)(inside if number == 0 else outside, outside, 3, padding=1))
        if spec.norm == "batch":
            layers.append((nn.BatchNorm2d if ndim == 2 else nn.BatchNorm3d)(outside))
        layers.append(nn.ReLU())
    return nn.Sequential(*layers)


def _convolution(ndim: int) -> type[nn.Conv2d] | type[nn.Conv3d]:
    return nn.Conv2d if ndim == 2 else nn.Conv3d
