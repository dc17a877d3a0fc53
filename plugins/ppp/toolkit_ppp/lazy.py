# ruff: noqa: TID253
# Only modules that `build()` imports import this file.
"""A head that is evaluated only where a loss looks: patches at all pixels of a batch would take gigabytes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Lazy:
    """What a network in training gives for a head of patches.

    `maps` `(B, F, *S)`: features. `decode`: `(N, F) -> (N, C)`, raw patches of N pixels.
    """

    maps: Tensor
    decode: Callable[[Tensor], Tensor]

    def float(self) -> Lazy:
        """Itself: `rows` gives 32 bits."""
        return self

    def at(self, pixels: Tensor) -> Tensor:
        """Raw patches `(N, C)` float32 at `pixels` `(N,)`, raster indices in `(B, *S)`."""
        with torch.autocast(self.maps.device.type, torch.bfloat16, enabled=self.maps.dtype == torch.bfloat16):
            return self.decode(gathered(self.maps, pixels)).float()


def rows(head: Tensor | Lazy, pixels: Tensor) -> Tensor:
    """Raw patches `(N, C)` float32 of either kind of head."""
    return head.at(pixels) if isinstance(head, Lazy) else gathered(head, pixels)


def gathered(maps: Tensor, pixels: Tensor) -> Tensor:
    """The vectors `(N, F)` of `maps` `(B, F, *S)` at raster indices in `(B, *S)`."""
    return maps.movedim(1, -1).flatten(0, -2)[pixels]
