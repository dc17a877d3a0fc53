# ruff: noqa: TID253
# Only the `build()` of the networks imports this file.
"""The module behind `ppp_unet`, and what all networks of patches share. B C *S: batch, channels, space."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from toolkit.api import Head, Trunk, begin_heads
from toolkit_ppp.lazy import Lazy, Rows, mixed

ROWS = 1024
"""Pixels whose patches are evaluated at once."""


class PatchModule(nn.Module):
    """`(B, channels, *S) -> {head: (B, head.channels, *S)}`, raw; a head of patches is `Lazy` in training."""

    precise = ("heads",)
    """Stay in 32 bits where the rest computes in 16: they cost little, and rounded affinities cost objects."""

    def __init__(self, features: Trunk, heads: tuple[Head, ...]) -> None:
        super().__init__()
        self.features = features
        self.heads = linear(self.features.outputs, heads)
        self.lazy = {head.name for head in heads if head.transform == "patch"}

    def forward(self, image: Tensor) -> dict[str, Tensor | Lazy]:
        maps, lazy = self.features(image), self.lazy if self.training else ()
        return {
            name: Lazy(maps, layer, short=mixed(maps)) if name in lazy else everywhere(layer, maps)
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
        begin_heads([head], layers[head.name])
    return nn.ModuleDict(layers)


def everywhere(layer: nn.Module, maps: Tensor) -> Tensor:
    """A layer of vectors `(…, F) -> (…, C)` on all pixels of `(B, F, *S)`."""
    found: Tensor = layer(maps.movedim(1, -1))
    return found.movedim(-1, 1)
