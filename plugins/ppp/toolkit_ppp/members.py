# ruff: noqa: TID253
# Only modules that `build()` imports import this file.
"""Which pixels share an object with a pixel: the true patches, compared only at the pixels that a loss asks for."""

from __future__ import annotations

from itertools import product

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
        stride, place = strides(state), places(pixels, self.state, state, radius)
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


def strides(volume: Tensor) -> list[int]:
    """Steps in raster order of one pixel along each axis of `(B, *S)`, without the first."""
    return [int(volume[0].stride(axis)) for axis in range(volume.ndim - 1)]


def places(pixels: Tensor, before: Tensor, after: Tensor, radius: list[int]) -> Tensor:
    """Raster indices in the padded volume of raster indices in the volume."""
    place, rest = torch.zeros_like(pixels), pixels
    for axis in reversed(range(before.ndim)):
        coordinate = rest % before.shape[axis]
        rest = rest // before.shape[axis]
        shift = radius[axis - 1] if axis else 0
        place += (coordinate + shift) * int(after.stride(axis))
    return place
