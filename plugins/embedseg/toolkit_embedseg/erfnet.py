# ruff: noqa: TID253
# Imported only by BranchedErfNet.build(), so torch may be loaded here.
"""The modules of the branched ERF-Net. B C *S: batch, channels, space."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from toolkit.api import Head, begin_heads

MAPS = (16, 64, 128)
DILATIONS = (2, 4, 8, 16)


class ErfNet(nn.Module):
    """`(B, C, *S) -> {head: (B, channels, *S)}`, raw; every axis of S is a multiple of 8."""

    def __init__(self, channels: int, heads: tuple[Head, ...], ndim: int, width: float, dropout: float) -> None:
        super().__init__()
        maps = tuple(max(16, round(m * width)) for m in MAPS)
        self.encoder = _encoder(channels, maps, ndim, dropout)
        groups = (
            [h for h in heads if h.transform != "scalar"],
            [h for h in heads if h.transform == "scalar"],
        )
        self.groups = [tuple(g) for g in groups if g]
        self.decoders = nn.ModuleList(_decoder(maps, ndim) for _ in self.groups)
        self.outputs = nn.ModuleList(
            _conv(ndim, True)(maps[0], sum(h.channels for h in g), 2, stride=2) for g in self.groups
        )
        for group, output in zip(self.groups, self.outputs, strict=True):
            begin_heads(group, output, outputs=1)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        features = self.encoder(x)
        heads: dict[str, Tensor] = {}
        for group, decoder, output in zip(self.groups, self.decoders, self.outputs, strict=True):
            maps = output(decoder(features))
            parts = torch.split(maps, [h.channels for h in group], dim=1)
            heads.update(zip((h.name for h in group), parts, strict=True))
        return heads


def _encoder(channels: int, maps: tuple[int, ...], ndim: int, dropout: float) -> nn.Sequential:
    first, middle, deep = maps
    return nn.Sequential(
        Down(channels, first, ndim),
        Down(first, middle, ndim),
        *(Factorised(middle, ndim, dropout / 10) for _ in range(5)),
        Down(middle, deep, ndim),
        *(Factorised(deep, ndim, dropout, d) for _ in range(2) for d in DILATIONS),
    )


def _decoder(maps: tuple[int, ...], ndim: int) -> nn.Sequential:
    first, middle, deep = maps
    return nn.Sequential(
        Up(deep, middle, ndim),
        *(Factorised(middle, ndim) for _ in range(2)),
        Up(middle, first, ndim),
        *(Factorised(first, ndim) for _ in range(2)),
    )


class Down(nn.Module):
    """Half the resolution: a strided convolution beside a maximum pooling of the input."""

    def __init__(self, inside: int, outside: int, ndim: int) -> None:
        super().__init__()
        # Where the input has as many maps as the output there is no room for both: then the convolution is alone.
        beside = inside if outside > inside else 0
        self.conv = _conv(ndim)(inside, outside - beside, 3, stride=2, padding=1)
        self.pool = (nn.MaxPool2d if ndim == 2 else nn.MaxPool3d)(2) if beside else None
        self.norm = _norm(outside, ndim)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        return torch.relu(self.norm(y if self.pool is None else torch.cat([y, self.pool(x)], 1)))


class Up(nn.Module):
    """Twice the resolution by a transposed convolution."""

    def __init__(self, inside: int, outside: int, ndim: int) -> None:
        super().__init__()
        self.conv = _conv(ndim, True)(inside, outside, 3, stride=2, padding=1, output_padding=1)
        self.norm = _norm(outside, ndim)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.norm(self.conv(x)))


class Factorised(nn.Module):
    """Residual block of one-dimensional convolutions along each axis, twice; the second time dilated."""

    def __init__(self, maps: int, ndim: int, dropout: float = 0.0, dilation: int = 1) -> None:
        super().__init__()
        self.first = nn.Sequential(*_along_each_axis(maps, ndim, 1))
        self.second = nn.Sequential(*_along_each_axis(maps, ndim, dilation))
        self.drop = (nn.Dropout2d if ndim == 2 else nn.Dropout3d)(dropout)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.drop(self.second(torch.relu(self.first(x)))))


def _along_each_axis(maps: int, ndim: int, dilation: int) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for axis in range(ndim):
        size = tuple(3 if a == axis else 1 for a in range(ndim))
        pad = tuple(dilation if a == axis else 0 for a in range(ndim))
        step = tuple(dilation if a == axis else 1 for a in range(ndim))
        layers += [_conv(ndim)(maps, maps, size, padding=pad, dilation=step), nn.ReLU()]
    layers[-1] = _norm(maps, ndim)
    return layers


def _conv(ndim: int, transposed: bool = False) -> type[nn.Module]:
    if transposed:
        return nn.ConvTranspose2d if ndim == 2 else nn.ConvTranspose3d
    return nn.Conv2d if ndim == 2 else nn.Conv3d


def _norm(maps: int, ndim: int) -> nn.Module:
    return (nn.BatchNorm2d if ndim == 2 else nn.BatchNorm3d)(maps, eps=1e-3)
