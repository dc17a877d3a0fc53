# ruff: noqa: TID253
# Only the `build()` of the networks imports this file.
"""The modules behind `ppp_window`: an encoder and decoder that slides over the foreground."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import pairwise, product
from math import prod
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from toolkit.errors import UsageError
from toolkit.values.prediction import Head
from toolkit_ppp.lazy import BUDGET, Lazy, asked, dense
from toolkit_ppp.members import places, strides
from toolkit_ppp.unet import UNet, begin, everywhere, level, linear

if TYPE_CHECKING:
    from toolkit_ppp.network import PatchWindow


class EncoderDecoder(nn.Module):
    """Windows `(N, channels, W, …)` → raw patches `(N, C)` of the pixels in their middle."""

    def __init__(self, spec: PatchWindow, channels: int, head: Head) -> None:
        super().__init__()
        assert head.patch is not None, "a head of patches has a shape"
        self.patch, ndim, self.window = head.patch, len(head.patch), spec.window
        if max(self.patch) > self.window or self.window % 2 == 0:
            shape = "×".join(map(str, self.patch))
            raise UsageError(
                f"a window of {self.window} pixels does not hold a patch of {shape} in its middle",
                f"network.pool={spec.pool}, network.poolings={spec.poolings}, network.bottleneck={spec.bottleneck}",
                "choose more poolings, a larger odd bottleneck, or a smaller patch",
            )
        convolution = nn.Conv2d if ndim == 2 else nn.Conv3d
        pooling = nn.MaxPool2d if ndim == 2 else nn.MaxPool3d
        maps = [spec.window_maps * 2**at for at in range(spec.poolings + 1)]
        number, norm = spec.convolutions, spec.norm == "batch"
        layers: list[nn.Module] = []
        for before, here in zip([channels, *maps], maps[:-1], strict=False):
            layers += [level(before, here, ndim, number, norm), pooling(spec.pool)]
        layers.append(level(maps[-2], maps[-1], ndim, number, norm, extent=1))
        for coarse, fine in pairwise(maps[::-1]):
            layers += [nn.Upsample(scale_factor=spec.pool), level(coarse, fine, ndim, number, norm)]
        last = convolution(maps[0], 1, 1)
        begin(last, head)
        self.layers = nn.Sequential(*layers, last)
        self.chunk = max(1, BUDGET // (16 * maps[0] * self.window**ndim))

    def forward(self, windows: Tensor) -> Tensor:
        found: Tensor = self.layers(windows)
        for axis, size in enumerate(self.patch, start=2):
            found = found.narrow(axis, (self.window - size) // 2, size)
        return found.flatten(1)


@dataclass(frozen=True)
class Windowed(Lazy):
    """A head of patches whose `maps` are the image `(B, channels, *S)`; `decode` takes `(N, channels, W, W…)`."""

    window: int = 81
    short: bool = False
    """Compute with 16 bits: an image does not tell."""

    def precision(self) -> AbstractContextManager[object]:
        return torch.autocast(self.maps.device.type, torch.bfloat16, enabled=self.short)

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
    """`(B, channels, *S) -> {head: (B, head.channels, *S)}`, raw; a head of patches is `Windowed` in training."""

    def __init__(self, spec: PatchWindow, channels: int, heads: tuple[Head, ...], ndim: int) -> None:
        super().__init__()
        self.above, self.order = spec.decode_above, [head.name for head in heads]
        plain = [head for head in heads if head.transform != "patch"]
        self.features = UNet(spec, channels, ndim) if plain else None
        self.heads = linear(self.features.outputs if self.features else 0, plain)
        self.windows = nn.ModuleDict(
            {head.name: EncoderDecoder(spec, channels, head) for head in heads if head.transform == "patch"}
        )

    def forward(self, image: Tensor) -> dict[str, Tensor | Lazy]:
        plain = {}
        if self.features is not None:
            maps = self.features(image)
            plain = {name: everywhere(layer, maps) for name, layer in self.heads.items()}
        found: dict[str, Tensor | Lazy] = {**plain}
        for name, network in self.windows.items():
            assert isinstance(network, EncoderDecoder)
            lazy = Windowed(image, network, network.chunk, network.window, torch.is_autocast_enabled(image.device.type))
            channels = prod(network.patch)
            found[name] = lazy if self.training else dense(lazy, asked(plain, image, self.above), channels)
        return {name: found[name] for name in self.order}
