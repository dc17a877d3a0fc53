"""The modules behind `unet`: names and sizes of their weights, and what comes of a seed, are those of MONAI's `UNet`,
which takes seconds to import."""

# ruff: noqa: TID253
# Only `UNet.build` imports this file.

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from toolkit.builtin.networks.plain_unet_module import begin
from toolkit.values.prediction import Head


class Layers(NamedTuple):
    """What is the same everywhere in a network."""

    ndim: int
    units: int
    norm: str
    dropout: float

    def convolution(self, before: int, after: int, step: Sequence[int], bare: bool = False) -> nn.Sequential:
        """3 voxels wide; but for `bare` ones, norm, dropout and a PReLU follow."""
        made = nn.Conv2d if self.ndim == 2 else nn.Conv3d
        return self._followed(made(before, after, 3, tuple(step), 1), after, bare)

    def enlarging(self, before: int, after: int, step: Sequence[int], bare: bool = False) -> nn.Sequential:
        """The way back from a convolution of that step."""
        made = nn.ConvTranspose2d if self.ndim == 2 else nn.ConvTranspose3d
        return self._followed(made(before, after, 3, tuple(step), 1, tuple(s - 1 for s in step)), after, bare)

    def _followed(self, convolution: nn.Module, maps: int, bare: bool) -> nn.Sequential:
        if bare:
            return nn.Sequential(OrderedDict(conv=convolution))
        norms = {"batch": (nn.BatchNorm2d, nn.BatchNorm3d), "instance": (nn.InstanceNorm2d, nn.InstanceNorm3d)}
        norm = norms[self.norm][self.ndim - 2](maps)
        after = nn.Sequential(OrderedDict(N=norm, D=nn.Dropout(self.dropout), A=nn.PReLU()))
        return nn.Sequential(OrderedDict(conv=convolution, adn=after))

    def level(self, before: int, after: int, step: Sequence[int]) -> nn.Module:
        """On the way down."""
        return Residual(self, before, after, step, self.units) if self.units else self.convolution(before, after, step)

    def back(self, before: int, after: int, step: Sequence[int], last: bool) -> nn.Module:
        """On the way up."""
        up = self.enlarging(before, after, step, last and not self.units)
        return nn.Sequential(up, Residual(self, after, after, (1,) * self.ndim, 1, last)) if self.units else up

    def nested(self, before: int, after: int, maps: Sequence[int], steps: Sequence[Any], last: bool) -> nn.Sequential:
        """All levels from the finest of `maps` down, and back."""
        here, coarser = maps[0], maps[1:]
        whole = (1,) * self.ndim
        inside = self.nested(here, here, coarser, steps[1:], False) if steps[1:] else self.level(here, *coarser, whole)
        below = here if steps[1:] else coarser[0]
        return nn.Sequential(
            self.level(before, here, steps[0]), Beside(inside), self.back(here + below, after, steps[0], last)
        )


class Residual(nn.Module):
    """So many convolutions, added to what they were given."""

    def __init__(
        self, layers: Layers, before: int, after: int, step: Sequence[int], units: int, bare: bool = False
    ) -> None:
        super().__init__()
        self.conv = nn.Sequential()
        for n in range(units):
            widths = (after if n else before, after, (1,) * layers.ndim if n else step)
            self.conv.add_module(f"unit{n}", layers.convolution(*widths, bare and n == units - 1))
        self.residual: nn.Module = nn.Identity()
        if max(step) > 1 or before != after:
            size = 3 if max(step) > 1 else 1
            made = nn.Conv2d if layers.ndim == 2 else nn.Conv3d
            self.residual = made(before, after, size, tuple(step), size // 2)

    def forward(self, maps: Tensor) -> Any:
        beside = self.residual(maps)
        return self.conv(maps) + beside


class Beside(nn.Module):
    """Maps, and after them what a module makes of them."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.submodule = module

    def forward(self, maps: Tensor) -> Tensor:
        return torch.cat([maps, self.submodule(maps)], 1)


class UNetModule(nn.Module):
    """`(B, channels, *S) -> {head: (B, head.channels, *S)}`, S a multiple of the total stride."""

    def __init__(
        self,
        channels: int,
        heads: Sequence[Head],
        ndim: int,
        maps: Sequence[int],
        strides: Sequence[Any],
        units: int,
        norm: str,
        dropout: float,
    ) -> None:
        super().__init__()
        layers = Layers(ndim, units, norm, dropout)
        model = layers.nested(channels, maps[0], maps, strides, True)
        self.body = nn.Sequential(OrderedDict(model=model))
        self.names = tuple(head.name for head in heads)
        self.sizes = [head.channels for head in heads]
        convolution = nn.Conv2d if ndim == 2 else nn.Conv3d
        self.out = convolution(maps[0], sum(self.sizes), kernel_size=1)
        begin(heads, self.out)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        raw = self.out(self.body(image))
        return dict(zip(self.names, torch.split(raw, self.sizes, dim=1), strict=True))
