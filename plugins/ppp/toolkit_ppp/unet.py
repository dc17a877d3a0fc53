# ruff: noqa: TID253
# Only the `build()` of the networks imports this file.
"""The modules behind `ppp_unet`. B C *S: batch, channels, space."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from toolkit.values.prediction import Head
from toolkit_ppp.lazy import Lazy, Rows

ROWS = 1024
"""Pixels whose patches are evaluated at once."""


class UNet(nn.Module):
    """`(B, channels, *S) -> (B, outputs, *S)`: the last maps. Every axis of S is a multiple of the stride.

    `down` and `up`: maps of each level, from the finest down and from the coarsest but one up. `steps`: the pooling
    between neighbouring levels. Each level has `number` convolutions of 3^`ndim`.
    """

    def __init__(
        self, channels: int, down: Sequence[int], up: Sequence[int], steps: Sequence[tuple[int, ...]], ndim: int,
        number: int, norm: bool,
    ) -> None:  # fmt: skip
        super().__init__()
        pooling = nn.MaxPool2d if ndim == 2 else nn.MaxPool3d
        self.pools = nn.ModuleList([nn.Identity(), *(pooling(step) for step in steps)])
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

    def __init__(self, features: UNet, heads: tuple[Head, ...]) -> None:
        super().__init__()
        self.features = features
        self.heads = linear(self.features.outputs, heads)
        self.lazy = {head.name for head in heads if head.transform == "patch"}

    def forward(self, image: Tensor) -> dict[str, Tensor | Lazy]:
        maps = self.features(image)
        return {
            name: Lazy(maps, layer) if self.training and name in self.lazy else everywhere(layer, maps)
            for name, layer in self.heads.items()
        }

    def lazily(self, image: Tensor) -> dict[str, Tensor | Rows]:
        """As `forward`, with heads of patches evaluated where somebody asks."""
        maps = together(self.features(image))
        return {
            name: Rows(Lazy(maps, layer), ROWS) if name in self.lazy else everywhere(layer, maps)
            for name, layer in self.heads.items()
        }


def together(maps: Tensor) -> Tensor:
    """The same maps `(B, F, *S)` with the numbers of a pixel side by side: pixels are taken out of them."""
    return maps.movedim(1, -1).contiguous().movedim(-1, 1)


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
