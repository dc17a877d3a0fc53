# ruff: noqa: TID253
# Only modules that `build()` imports import this file.
"""Which pixels share an object with a pixel: the true patches, compared only at the pixels that a loss asks for."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import prod

import torch
from torch import Tensor
from torch.nn import functional

BACKGROUND, ONE, OVERLAP = 0, 1, 2
UNKNOWN, OUTSIDE = -1, -2


class Members:
    """True patches of a batch.

    `layers` `(B, L, *S)` int32: label images, −1 where annotation is missing. `void` `(B, *S)` bool. `state` `(B, *S)`
    int8: BACKGROUND, in ONE object, in several (OVERLAP), UNKNOWN (unannotated), OUTSIDE (void).
    """

    def __init__(self, layers: Tensor, void: Tensor, patch: tuple[int, ...]) -> None:
        covered = (layers > 0).sum(1)
        state = covered.clamp(max=OVERLAP).to(torch.int8)
        state[(layers < 0).any(1) & (covered == 0)] = UNKNOWN
        state[void] = OUTSIDE
        self.layers, self.state, self.patch = layers, state, patch

    def pixels(self, where: str, most: int | None) -> Tensor:
        """Raster indices in `(B, *S)` of the pixels that have a patch, or `most` of them by chance."""
        state = self.state.flatten()
        found = torch.nonzero(state == ONE if where == "foreground" else (state >= UNKNOWN) & (state < OVERLAP))[:, 0]
        if most is None or len(found) <= most:
            return found
        return found[torch.randint(len(found), (most,)).to(found.device)]

    def patches(self, pixels: Tensor, overlap: str) -> tuple[Tensor, Tensor]:
        """What the patches of `pixels` `(N,)` should be, `(N, C)` float32, and which of their entries are known."""
        radius = [n // 2 for n in self.patch]
        pads = [r for r in reversed(radius) for _ in range(2)]
        state = functional.pad(self.state, pads, value=OUTSIDE)
        layers = functional.pad(self.layers.movedim(1, 0), pads)
        shape = state.shape[1:]
        stride, place = strides(shape), places(pixels, self.state.shape[1:], shape, radius)
        offsets = [sum(d * s for d, s in zip(o, stride, strict=True)) for o in product(*map(range, self.patch))]
        middle = offsets[len(offsets) // 2]
        near = place[:, None] + (torch.tensor(offsets, device=place.device) - middle)
        # A pixel that has a patch lies in one object at most, so in one layer that matters.
        which = (layers > 0).to(torch.int8).argmax(0).flatten()[place] * state.numel()
        label = layers.flatten()[place + which][:, None]
        wanted = (label > 0) & (layers.flatten()[near + which[:, None]] == label)
        other, own = state.flatten()[near], state.flatten()[place][:, None]
        known = (other != OUTSIDE) & ((other != UNKNOWN) | (own != UNKNOWN))
        if overlap == "drop":
            known &= other != OVERLAP
        return wanted.float(), known


def strides(shape: Sequence[int]) -> list[int]:
    """Steps in raster order of one pixel along each axis of a volume."""
    return [prod(shape[axis + 1 :]) for axis in range(len(shape))]


def places(pixels: Tensor, before: Sequence[int], after: Sequence[int], radius: Sequence[int]) -> Tensor:
    """Raster indices in `(B, *after)` of raster indices in `(B, *before)`, each axis of which is padded by `radius`."""
    place, rest = torch.zeros_like(pixels), pixels
    for size, step, shift in reversed(list(zip(before, strides(after), radius, strict=True))):
        place += (rest % size + shift) * step
        rest = rest // size
    return place + rest * prod(after)
