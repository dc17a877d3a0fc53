"""The module behind `residual_unet`. B batch, C channels, *S space, K pairs."""

# ruff: noqa: TID253
# Only `ResidualUNet.build` imports this file.

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from toolkit.api import Head, Offset, begin_heads


class ResidualUNetModule(nn.Module):
    """`(B, channels, *S) -> {head: (B, head.channels, *S)}`, raw; S a multiple of the stride.

    `drop` is the share of maps' values that are lost before each of the last two layers, also outside of training.
    With `bare` a head of pairs gives the vectors themselves, `(B, embedding, *S)`, as `spoco` learns them.
    """

    def __init__(
        self,
        channels: int,
        heads: Sequence[Head],
        maps: Sequence[int],
        steps: Sequence[tuple[int, ...]],
        ndim: int,
        embedding: int | None,
        reach: float | None = None,
    ) -> None:
        super().__init__()
        self.steps, self.reach, self.drop, self.bare = tuple(steps), reach, 0.0, False
        self.pairs = {h.name: h.offsets for h in heads if embedding is not None and h.offsets is not None}
        self.names = [head.name for head in heads]
        self.sizes = [int(embedding or 0) if head.name in self.pairs else head.channels for head in heads]
        self.first = convolution(ndim, channels, maps[0], 5, flat=True)
        self.down = nn.ModuleList(Unit(a, b, ndim) for a, b in zip([maps[0], *maps], maps, strict=False))
        self.merge = nn.ModuleList(
            convolution(ndim, below, here, 1) for below, here in zip(maps[:0:-1], maps[-2::-1], strict=True)
        )
        self.up = nn.ModuleList(Unit(here, here, ndim) for here in maps[-2::-1])
        self.last = convolution(ndim, maps[0], maps[0], 5, flat=True)
        self.out = convolution(ndim, maps[0], sum(self.sizes), 1)
        outputs = [
            Head(head.name, size, initial=None if head.name in self.pairs else head.initial)
            for head, size in zip(heads, self.sizes, strict=True)
        ]
        begin_heads(outputs, self.out)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        maps, beside = functional.elu(self.first(image)), []
        pool = functional.max_pool2d if image.ndim == 4 else functional.max_pool3d
        for level, unit in enumerate(self.down):
            maps = unit(pool(maps, self.steps[level - 1]) if level else maps)
            beside.append(maps)
        for merge, unit, skipped in zip(self.merge, self.up, beside[-2::-1], strict=True):
            maps = unit(merge(functional.interpolate(maps, size=skipped.shape[2:])) + skipped)
        maps = functional.elu(self.last(self._lost(maps)))
        raw = torch.split(self.out(self._lost(maps)), self.sizes, 1)
        return {
            name: affinities(part, self.pairs[name], self.reach) if name in self.pairs and not self.bare else part
            for name, part in zip(self.names, raw, strict=True)
        }

    def _lost(self, maps: Tensor) -> Tensor:
        return functional.dropout(maps, self.drop) if self.drop else maps


class Unit(nn.Module):
    """A convolution in the plane, and two full ones whose result is added to it."""

    def __init__(self, inside: int, outside: int, ndim: int) -> None:
        super().__init__()
        norm = nn.BatchNorm2d if ndim == 2 else nn.BatchNorm3d

        def layer(maps: int, flat: bool) -> list[nn.Module]:
            return [convolution(ndim, maps, outside, 3, flat, bias=False), norm(outside)]

        self.flat = nn.Sequential(*layer(inside, True), nn.ELU())
        self.full = nn.Sequential(*layer(outside, False), nn.ELU(), *layer(outside, False))

    def forward(self, maps: Tensor) -> Tensor:
        flat = self.flat(maps)
        return functional.elu(flat + self.full(flat))


def convolution(
    ndim: int, inside: int, outside: int, extent: int, flat: bool = False, bias: bool = True
) -> nn.Conv2d | nn.Conv3d:
    """Padded to `same`; `flat`: one voxel thick across the plane."""
    kernel = (1, extent, extent)[-ndim:] if flat else (extent,) * ndim
    padding = tuple(k // 2 for k in kernel)
    kind: Any = nn.Conv2d if ndim == 2 else nn.Conv3d
    return cast("nn.Conv2d | nn.Conv3d", kind(inside, outside, kernel, padding=padding, bias=bias))


def affinities(embedding: Tensor, offsets: Sequence[Offset], reach: float | None = None) -> Tensor:
    """`(B, C, *S) -> (B, K, *S)`: the cosine of the vectors at x and x + offset, or how near they are, as a part of
    `reach`, squared; 0 where that is beyond the border."""
    if reach is None:
        unit = functional.normalize(embedding, dim=1)
        return torch.stack([_pairs(unit, offset, lambda a, b: (a * b).sum(1)) for offset in offsets], 1)

    def nearness(a: Tensor, b: Tensor) -> Tensor:
        distance: Tensor = torch.linalg.vector_norm(a - b, dim=1)
        return (1 - distance / reach).clamp(min=0) ** 2

    return torch.stack([_pairs(embedding.float(), offset, nearness) for offset in offsets], 1)


def _pairs(vectors: Tensor, offset: Offset, affinity: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    here: list[Any] = [slice(None), slice(None)]
    there: list[Any] = [slice(None), slice(None)]
    pad: list[int] = []
    for size, o in zip(vectors.shape[2:], offset, strict=True):
        reach = min(abs(o), size)
        low, high = slice(reach, None), slice(None, size - reach)
        here.append(low if o < 0 else high)
        there.append(high if o < 0 else low)
        pad = [*((reach, 0) if o < 0 else (0, reach)), *pad]
    return functional.pad(affinity(vectors[tuple(here)], vectors[tuple(there)]), pad)
