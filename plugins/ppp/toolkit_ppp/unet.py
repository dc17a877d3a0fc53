# ruff: noqa: TID253
# Only the `build()` of the networks imports this file.
"""The modules behind `ppp_unet`. B C *S: batch, channels, space."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from toolkit.values.prediction import Head
from toolkit_ppp.lazy import Lazy

if TYPE_CHECKING:
    from toolkit_ppp.network import Backbone


class UNet(nn.Module):
    """`(B, channels, *S) -> (B, outputs, *S)`: the last maps. Every axis of S is a multiple of the stride."""

    def __init__(self, spec: Backbone, channels: int, ndim: int) -> None:
        super().__init__()
        down = [spec.maps * spec.growth**level for level in range(spec.levels)]
        constant = spec.upward_maps or down[-1]
        up = [constant if spec.upward == "constant" else maps for maps in down[-2::-1]]
        pooling = nn.MaxPool2d if ndim == 2 else nn.MaxPool3d
        number, norm = spec.convolutions, spec.norm == "batch"
        self.pools = nn.ModuleList([nn.Identity(), *(pooling(step) for step in spec.steps(ndim))])
        self.down = nn.ModuleList(
            level(a, b, ndim, number, norm) for a, b in zip([channels, *down], down, strict=False)
        )
        self.up = nn.ModuleList(
            level(beside + below, here, ndim, number, norm)
            for beside, below, here in zip(down[-2::-1], [down[-1], *up], up, strict=False)
        )
        self.outputs = up[-1] if up else down[-1]

    def forward(self, image: Tensor) -> Tensor:
        maps, beside = image, []
        for pool, layers in zip(self.pools, self.down, strict=True):
            maps = layers(pool(maps))
            beside.append(maps)
        for layers, skipped in zip(self.up, beside[-2::-1], strict=True):
            maps = layers(torch.cat([skipped, functional.interpolate(maps, size=skipped.shape[2:])], 1))
        return maps


class PatchModule(nn.Module):
    """`(B, channels, *S) -> {head: (B, head.channels, *S)}`, raw; a head of patches is `Lazy` in training."""

    def __init__(self, spec: Backbone, channels: int, heads: tuple[Head, ...], ndim: int) -> None:
        super().__init__()
        self.features = UNet(spec, channels, ndim)
        self.heads = linear(self.features.outputs, heads)
        self.lazy = {head.name for head in heads if head.transform == "patch"}

    def forward(self, image: Tensor) -> dict[str, Tensor | Lazy]:
        maps = self.features(image)
        return {
            name: Lazy(maps, layer) if self.training and name in self.lazy else everywhere(layer, maps)
            for name, layer in self.heads.items()
        }


def linear(features: int, heads: Sequence[Head]) -> nn.ModuleDict:
    """A linear layer for each head."""
    layers = {head.name: nn.Linear(features, head.channels) for head in heads}
    for head in heads:
        begin(layers[head.name], head)
    return nn.ModuleDict(layers)


def begin(layer: nn.Module, head: Head) -> None:
    """Let a last layer give the head's initial value, if it has one."""
    if head.initial is not None:
        weight, bias = layer.weight, layer.bias
        assert isinstance(weight, Tensor)
        assert isinstance(bias, Tensor)
        nn.init.zeros_(weight)
        nn.init.constant_(bias, head.initial)


def everywhere(layer: nn.Module, maps: Tensor) -> Tensor:
    """A layer of vectors `(…, F) -> (…, C)` on all pixels of `(B, F, *S)`."""
    found: Tensor = layer(maps.movedim(1, -1))
    return found.movedim(-1, 1)


def level(inside: int, outside: int, ndim: int, number: int, norm: bool = False, extent: int = 3) -> nn.Sequential:
    """`number` convolutions of `extent`, each with its ReLU. Without normalisation they begin so that what passes many
    of them neither grows nor fades (He et al. 2015)."""
    convolution, batch_norm = (nn.Conv2d, nn.BatchNorm2d) if ndim == 2 else (nn.Conv3d, nn.BatchNorm3d)
    layers: list[nn.Module] = []
    for at in range(number):
        layer = convolution(outside if at else inside, outside, extent, padding=extent // 2)
        layers.append(layer)
        if norm:
            layers.append(batch_norm(outside))
        else:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)
        layers.append(nn.ReLU())
    return nn.Sequential(*layers)
