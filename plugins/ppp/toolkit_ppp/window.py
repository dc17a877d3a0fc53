# ruff: noqa: TID253
# Only the `build()` of the networks imports this file.
"""The modules behind `ppp_window`: an encoder and decoder that slides over the foreground."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise, product
from math import prod

import torch
from torch import Tensor, nn
from torch.nn import functional

from toolkit.api import Head, Trunk, begin_heads, unet_level
from toolkit_ppp.lazy import BUDGET, Lazy, Rows, asked, dense, mixed
from toolkit_ppp.members import places, strides
from toolkit_ppp.unet import everywhere, linear

FEW = 64
"""Windows that are looked at at once where some are asked for."""


class EncoderDecoder(nn.Module):
    """Windows `(N, channels, W, …)`, W = `pool`^`poolings` · `bottleneck`, → raw patches `(N, C)` of the pixels in
    their middle. `maps` at full resolution, twice as many on each further level, which has `number` convolutions."""

    def __init__(
        self, channels: int, head: Head, *, pool: int, poolings: int, bottleneck: int, maps: int, number: int,
        norm: bool,
    ) -> None:  # fmt: skip
        super().__init__()
        assert head.patch is not None, "a head of patches has a shape"
        self.patch, ndim, self.window = head.patch, len(head.patch), bottleneck * int(pool**poolings)
        if max(self.patch) > self.window or self.window % 2 == 0:
            shape = "×".join(map(str, self.patch))
            raise ValueError(
                f"a window of {self.window} pixels does not hold a patch of {shape} in its middle: pool={pool}, "
                f"poolings={poolings}, bottleneck={bottleneck}; choose more poolings, a larger odd bottleneck, or a "
                "smaller patch"
            )
        convolution = nn.Conv2d if ndim == 2 else nn.Conv3d
        pooling = nn.MaxPool2d if ndim == 2 else nn.MaxPool3d
        sizes = [maps * 2**at for at in range(poolings + 1)]
        how = (ndim, number, norm, True)
        layers: list[nn.Module] = []
        for before, here in zip([channels, *sizes], sizes[:-1], strict=False):
            layers += [unet_level(before, here, *how), pooling(pool)]
        layers.append(unet_level(sizes[-2], sizes[-1], *how, extent=1))
        for coarse, fine in pairwise(sizes[::-1]):
            layers += [nn.Upsample(scale_factor=pool), unet_level(coarse, fine, *how)]
        last = convolution(maps, 1, 1)
        begin_heads([replace(head, channels=1)], last)
        self.layers = nn.Sequential(*layers, last)
        self.chunk = max(1, BUDGET // (16 * maps * self.window**ndim))

    def forward(self, windows: Tensor) -> Tensor:
        found: Tensor = self.layers(windows)
        for axis, size in enumerate(self.patch, start=2):
            found = found.narrow(axis, (self.window - size) // 2, size)
        return found.flatten(1)


@dataclass(frozen=True)
class Windowed(Lazy):
    """A head of patches whose `maps` are the image `(B, channels, *S)`; `decode` takes `(N, channels, W, W…)`."""

    window: int = 81

    def at(self, pixels: Tensor) -> Tensor:
        radius = [self.window // 2] * (self.maps.ndim - 2)
        padded = functional.pad(self.maps, [r for r in radius for _ in range(2)])
        shape = padded.shape[2:]
        step, place = strides(shape), places(pixels, self.maps.shape[2:], shape, radius)
        offsets = [
            sum(d * s for d, s in zip(o, step, strict=True)) for o in product(range(self.window), repeat=len(step))
        ]
        middle = offsets[len(offsets) // 2]
        near = place[:, None] + (torch.tensor(offsets, device=place.device) - middle)
        windows = padded.movedim(1, 0).flatten(1)[:, near].movedim(0, 1)
        with self.precision():
            return self.decode(windows.reshape(*windows.shape[:2], *[self.window] * len(step))).float()


class WindowModule(nn.Module):
    """`(B, channels, *S) -> {head: (B, head.channels, *S)}`, raw; a head of patches is `Windowed` in training.

    `features` is for the other heads, `window(head)` makes what slides for a head of patches; elsewhere than in
    training it slides where the probability of foreground exceeds `above`.
    """

    def __init__(
        self, features: Trunk | None, heads: tuple[Head, ...], above: float, window: Callable[[Head], EncoderDecoder]
    ) -> None:
        super().__init__()
        self.above, self.order = above, [head.name for head in heads]
        plain = [head for head in heads if head.transform != "patch"]
        self.features = features
        self.heads = linear(features.outputs if features else 0, plain)
        self.windows = nn.ModuleDict({head.name: window(head) for head in heads if head.transform == "patch"})

    def forward(self, image: Tensor) -> dict[str, Tensor | Lazy]:
        plain = {}
        if self.features is not None:
            maps = self.features(image)
            plain = {name: everywhere(layer, maps) for name, layer in self.heads.items()}
        found: dict[str, Tensor | Lazy] = {**plain}
        for name, network in self.windows.items():
            assert isinstance(network, EncoderDecoder)
            lazy = Windowed(image, network, network.chunk, mixed(image), network.window)
            channels = prod(network.patch)
            found[name] = lazy if self.training else dense(lazy, asked(plain, image, self.above), channels)
        return {name: found[name] for name in self.order}

    def lazily(self, image: Tensor) -> dict[str, Tensor | Rows]:
        """As `forward`, with windows looked at where somebody asks."""
        found: dict[str, Tensor | Rows] = {}
        if self.features is not None:
            maps = self.features(image)
            found |= {name: everywhere(layer, maps) for name, layer in self.heads.items()}
        for name, network in self.windows.items():
            assert isinstance(network, EncoderDecoder)
            found[name] = Rows(Windowed(image, network, network.chunk, window=network.window), min(network.chunk, FEW))
        return {name: found[name] for name in self.order}
