# ruff: noqa: TID253
# Only modules that `build()` imports import this file.
"""A head that is evaluated only where somebody looks: patches at all pixels of a batch would take gigabytes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

NEVER = -16.0
"""Raw value of patches that are not evaluated: a probability of one in ten million."""
BUDGET = 2**28
"""Bytes that the maps of patches evaluated at once may take."""


@dataclass(frozen=True)
class Lazy:
    """What a network in training gives for a head of patches.

    `maps` `(B, F, *S)`: features. `decode`: `(N, F) -> (N, C)`, raw patches of N pixels. `chunk`: so many pixels at
    once keep to the budget of memory. `short`: compute with 16 bits, as the maps were.
    """

    maps: Tensor
    decode: Callable[[Tensor], Tensor]
    chunk: int = 2**16
    short: bool = False

    def float(self) -> Self:
        """Itself: `rows` gives 32 bits."""
        return self

    def at(self, pixels: Tensor) -> Tensor:
        """Raw patches `(N, C)` float32 at `pixels` `(N,)`, raster indices in `(B, *S)`."""
        with self.precision():
            return self.decode(gathered(self.maps, pixels)).float()

    def image(self, number: int) -> Self:
        """One image of the batch."""
        return replace(self, maps=self.maps[number : number + 1])

    def precision(self) -> AbstractContextManager[object]:
        """Computes with as many bits as the network did: a loss asks outside of its context."""
        return torch.autocast(self.maps.device.type, torch.bfloat16, enabled=self.short)


@dataclass(frozen=True)
class Rows:
    """A head for whoever asks for some pixels, outside of training.

    Always `step` pixels are evaluated at once, so that a patch is the same whatever is asked beside it.
    """

    head: Lazy
    step: int

    def at(self, pixels: Tensor) -> Tensor:
        """Raw patches `(N, C)` float32 at `pixels` `(N,)`, raster indices in `(B, *S)`."""
        if len(pixels) == 0:
            return self.head.at(pixels.new_zeros(1))[:0]
        parts = []
        for some in torch.split(pixels, self.step):
            full = torch.cat([some, some[-1:].expand(self.step - len(some))])
            parts.append(self.head.at(full)[: len(some)])
        return torch.cat(parts)


def mixed(maps: Tensor) -> bool:
    """Whether what is computed here is computed with 16 bits where that does no harm, as in training."""
    return torch.is_autocast_enabled(maps.device.type)


def rows(head: Tensor | Lazy, pixels: Tensor) -> Tensor:
    """Raw patches `(N, C)` float32 of either kind of head."""
    return head.at(pixels) if isinstance(head, Lazy) else gathered(head, pixels)


def gathered(maps: Tensor, pixels: Tensor) -> Tensor:
    """The vectors `(N, F)` of `maps` `(B, F, *S)` at raster indices in `(B, *S)`."""
    return maps.movedim(1, -1).flatten(0, -2)[pixels]


def dense(head: Lazy, where: Tensor, channels: int) -> Tensor:
    """Raw patches `(B, channels, *S)` float32 where `where` `(B, *S)` is true, `NEVER` elsewhere.

    Image by image, so that an image gets the same patches in any batch. How much is computed depends on what is seen,
    which no exported graph can say.
    """
    if torch.compiler.is_exporting():
        raise RuntimeError("patches are decoded only where there is foreground, so that no fixed graph gives them")
    found = torch.full((len(where), channels, *where.shape[1:]), NEVER, device=where.device)
    for number, mask in enumerate(where):
        one, flat = head.image(number), found[number].flatten(1)
        for pixels in torch.split(torch.nonzero(mask.flatten())[:, 0], head.chunk):
            flat[:, pixels] = one.at(pixels).T
    return found


def asked(raw: dict[str, Tensor], image: Tensor, above: float) -> Tensor:
    """Pixels `(B, *S)` whose patches somebody may ask for: those that the heads `foreground` or `numinst` call
    foreground with a probability `above` this, and not so surely several objects; all where there is no such head."""
    if "foreground" in raw:
        return torch.sigmoid(raw["foreground"][:, 0].float()) > above
    if "numinst" in raw:
        none, _, several = torch.softmax(raw["numinst"].float(), 1).unbind(1)
        return (1 - none > above) & (several <= 1 - above)
    return torch.ones((len(image), *image.shape[2:]), dtype=torch.bool, device=image.device)
