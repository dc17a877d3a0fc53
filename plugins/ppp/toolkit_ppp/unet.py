# ruff: noqa: TID253
# Only the `build()` of the networks imports this file.
"""The modules behind `ppp_unet`. B C *S: batch, channels, space."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from toolkit.prediction import Head
from toolkit_ppp.lazy import Lazy

if TYPE_CHECKING:
    from toolkit_ppp.network import PatchUNet


class UNet(nn.Module):
    """`(B, channels, *S) -> (B, outputs, *S)`: the last maps. Every axis of S is a multiple of the stride."""

    def __init__(self, spec: PatchUNet, channels: int, ndim: int) -> None:
        super().__init__()
        down = [spec.maps * spec.growth**level for level in range(spec.levels)]
        constant = spec.upward_maps or down[-1]
        up = [constant if spec.upward == "constant" else maps for maps in down[-2::-1]]
        pooling = nn.MaxPool2d if ndim == 2 else nn.MaxPool3d
        self.pools = nn.ModuleList([nn.Identity(), *(pooling(step) for step in spec.steps(ndim))])
        self.down = nn.ModuleList(_level(spec, a, b, ndim) for a, b in zip([channels, *down], down, strict=False))
        self.up = nn.ModuleList(
            _level(spec, beside + below, here, ndim)
            for beside, below, here in zip(down[-2::-1], [down[-1], *up], up, strict=False)
        )
        self.outputs = up[-1] if up else down[-1]

    def forward(self, image: Tensor) -> Tensor:
        maps, beside = image, []
        for pool, level in zip(self.pools, self.down, strict=True):
            maps = level(pool(maps))
            beside.append(maps)
        for level, skipped in zip(self.up, beside[-2::-1], strict=True):
            maps = level(torch.cat([skipped, functional.interpolate(maps, size=skipped.shape[2:])], 1))
        return maps


class PatchModule(nn.Module):
    """`(B, channels, *S) -> {head: (B, head.channels, *S)}`, raw; a head of patches is `Lazy` in training."""

    def __init__(self, spec: PatchUNet, channels: int, heads: tuple[Head, ...], ndim: int) -> None:
        super().__init__()
        self.features = UNet(spec, channels, ndim)
        self.heads = nn.ModuleDict({head.name: nn.Linear(self.features.outputs, head.channels) for head in heads})
        self.lazy = {head.name for head in heads if head.transform == "patch"}
        for head in heads:
            if head.initial is not None:
                layer = self.heads[head.name]
                assert isinstance(layer, nn.Linear)
                nn.init.zeros_(layer.weight)
                nn.init.constant_(layer.bias, head.initial)

    def forward(self, image: Tensor) -> dict[str, Tensor | Lazy]:
        maps = self.features(image)
        return {
            name: Lazy(maps, layer) if self.training and name in self.lazy else everywhere(layer, maps)
            for name, layer in self.heads.items()
        }


def everywhere(layer: nn.Module, maps: Tensor) -> Tensor:
    """A layer of vectors `(…, F) -> (…, C)` on all pixels of `(B, F, *S)`."""
    found: Tensor = layer(maps.movedim(1, -1))
    return found.movedim(-1, 1)


def _level(spec: PatchUNet, inside: int, outside: int, ndim: int) -> nn.Sequential:
    convolution, norm = (nn.Conv2d, nn.BatchNorm2d) if ndim == 2 else (nn.Conv3d, nn.BatchNorm3d)
    layers: list[nn.Module] = []
    for number in range(spec.convolutions):
        layers.append(convolution(outside if number else inside, outside, 3, padding=1))
        if spec.norm == "batch":
            layers.append(norm(outside))
        layers.append(nn.ReLU())
    return nn.Sequential(*layers)
