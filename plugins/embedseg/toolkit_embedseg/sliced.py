# ruff: noqa: TID253
# Imported only by Sliced.build(), so torch may be loaded here.
"""A 2-D network on the three sets of planes of a volume. B batch, C channels, (Z, Y, X) space."""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate


class SlicedModule(nn.Module):
    """`(B, C, Z, Y, X) -> {head: (B, channels, Z, Y, X)}`, raw; weights have the names that they have in the 2-D
    network.

    Planes along the first axis are resampled to squares before the network and back after it. Channels along an axis
    are the mean of the two planes that contain the axis, scalars the mean of all three.
    """

    def __init__(
        self, flat: nn.Module, stride: tuple[int, ...], anisotropy: tuple[float, ...], scalars: Collection[str]
    ) -> None:
        super().__init__()
        for name, child in flat.named_children():
            self.add_module(name, child)
        # Not a child itself, or its weights had two names.
        self._flat = [flat]
        self.step = stride
        self.ratio = anisotropy or (1.0, 1.0, 1.0)
        self.scalars = frozenset(scalars)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        planes = [self._planes(x, normal) for normal in range(3)]
        return {
            name: torch.stack([p[name] for p in planes]).mean(0)
            if name in self.scalars
            else self._axes([p[name] for p in planes])
            for name in planes[0]
        }

    def _planes(self, x: Tensor, normal: int) -> dict[str, Tensor]:
        """Heads of the planes at right angles to an axis, `(B, channels, Z, Y, X)`; 2 channels of a vector."""
        stack = x.movedim(2 + normal, 1)
        own = stack.shape[3:]
        ratio = [r for axis, r in enumerate(self.ratio) if axis != normal]
        size = tuple(max(s, round(n * r / s) * s) for n, r, s in zip(own, ratio, self.step, strict=True))
        heads = self._flat[0](_resized(stack.flatten(0, 1), size))
        return {
            name: _resized(maps, own).reshape(*stack.shape[:2], -1, *own).movedim(1, 2 + normal)
            for name, maps in heads.items()
        }

    def _axes(self, planes: list[Tensor]) -> Tensor:
        """`(B, 3, Z, Y, X)` from the 2 channels of each set of planes: the axes but its normal, in order."""
        seen: list[list[Tensor]] = [[], [], []]
        for normal, maps in enumerate(planes):
            for channel, axis in enumerate(a for a in range(3) if a != normal):
                seen[axis].append(maps[:, channel])
        return torch.stack([(one + other) / 2 for one, other in seen], 1)


def _resized(maps: Tensor, size: tuple[int, ...]) -> Tensor:
    return maps if maps.shape[2:] == size else interpolate(maps, tuple(size), mode="bilinear", align_corners=False)
