"""Axis-aligned rotations and flips: how a window turns, and how what the network says of it turns back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations, product
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from toolkit.values.prediction import Head

if TYPE_CHECKING:
    from torch import Tensor


N = TypeVar("N", int, float)


@dataclass(frozen=True)
class Turn:
    """Axis a of the turned window is axis `order[a]` of the window, mirrored where `mirrored[a]`."""

    order: tuple[int, ...]
    mirrored: tuple[bool, ...]

    @property
    def turns(self) -> bool:
        """Whether it is not the identity."""
        return any(self.mirrored) or self.order != tuple(sorted(self.order))

    def apply(self, maps: Tensor) -> Tensor:
        """Turn `(B, C, *S)`; channels stay as they are."""
        first = maps.ndim - len(self.order)
        moved = maps.permute(*range(first), *(first + a for a in self.order))
        return moved.flip([first + a for a, m in enumerate(self.mirrored) if m]) if any(self.mirrored) else moved

    def undo(self, maps: Tensor) -> Tensor:
        """The inverse of `apply`."""
        first = maps.ndim - len(self.order)
        back = maps.flip([first + a for a, m in enumerate(self.mirrored) if m]) if any(self.mirrored) else maps
        return back.permute(*range(first), *(first + int(a) for a in np.argsort(self.order)))

    def undo_head(self, maps: Tensor, head: Head) -> Tensor:
        """Raw outputs `(B, C, *S)` of a turned window as those of the window, channels included."""
        maps = self.undo(maps)
        match head.transform:
            case "scalar" | "none":
                return maps
            case "vector" | "extent":
                return self._vector(maps, signed=head.transform == "vector")
            case "patch":
                return self._patch(maps, head.patch or ())
            case "affinity":
                return self._affinity(maps, head.offsets or ())
            case "directions":
                return maps[:, list(self._permuted(head.directions or ()))]

    def _vector(self, maps: Tensor, signed: bool) -> Tensor:
        import torch

        channels = list(torch.unbind(maps, 1))
        for a, axis in enumerate(self.order):
            channels[axis] = -maps[:, a] if signed and self.mirrored[a] else maps[:, a]
        return torch.stack(channels, 1)

    def _patch(self, maps: Tensor, patch: Sequence[int]) -> Tensor:
        """The offsets inside a patch turn like space does."""
        turned = tuple(patch[a] for a in self.order)
        boxes = maps.movedim(1, -1).reshape(*maps.shape[:1], *maps.shape[2:], *turned)
        return self.undo(boxes).flatten(-len(turned)).movedim(-1, 1)

    def undo_offset(self, offset: Sequence[N]) -> tuple[N, ...]:
        """What an offset between voxels of the turned window is in the window."""
        back = list(offset)
        for a, axis in enumerate(self.order):
            back[axis] = -offset[a] if self.mirrored[a] else offset[a]
        return tuple(back)

    def _permuted(self, points: Sequence[Sequence[float]]) -> tuple[int, ...]:
        """For each point, which channel of the turned window speaks of it."""
        places = {_near(self.undo_offset(point)): channel for channel, point in enumerate(points)}
        return tuple(places[_near(point)] for point in points)

    def _affinity(self, maps: Tensor, offsets: Sequence[Sequence[int]]) -> Tensor:
        """A channel moves to that of its turned-back offset; the affinity of x at offset o is that of x + o at −o."""
        import torch

        places = {tuple(o): i for i, o in enumerate(offsets)}
        result = [maps[:, 0]] * len(places)
        for channel, offset in enumerate(offsets):
            back = self.undo_offset(offset)
            if back in places:
                result[places[back]] = maps[:, channel]
            else:
                # What rolls in from the far side stands for pairs that leave the window; `refused` sees to the overlap.
                axes = list(range(1, 1 + len(back)))
                result[places[_opposite(back)]] = torch.roll(maps[:, channel], back, axes)
        return torch.stack(result, 1)


def turns(window: Sequence[int], heads: Sequence[Head]) -> tuple[Turn, ...]:
    """All turns that map a window of this shape onto itself, the identity first: 8 of a square, 16 of a volume.

    Axes change places only where window and patches have equal extents, and in 3-D only the last two do: the first is
    usually sampled otherwise (Lalit et al. 2021, §2). Heads of affinities allow only turns that keep their offsets.
    """
    return tuple(turn for turn in _onto_itself(window, heads) if not any(_lost(turn, head) for head in heads))


def refused(window: Sequence[int], overlap: Sequence[int], heads: Sequence[Head]) -> str | None:
    """Why the outputs of turned windows cannot be averaged, if they cannot: a sentence."""
    for turn in _onto_itself(window, heads):
        for head in heads:
            if head.transform == "none":
                return f"head {head.name} does not say how it turns: leave tiling.augment at none"
            if lost := _lost(turn, head):
                offset, back = (list(point) for point in lost)
                return (
                    f"turning windows needs head {head.name} to have the offset {back} or its opposite, "
                    f"because {offset} becomes {back} when a window turns"
                )
    for head in heads:
        for axis, reach in enumerate(max(map(abs, along)) for along in zip(*head.offsets or (), strict=True)):
            if overlap[axis] < 2 * reach:
                return (
                    f"turning windows needs a tiling.overlap of at least {2 * reach} voxels along axis {axis}, "
                    f"twice the reach of the offsets of head {head.name}"
                )
    return None


def _onto_itself(window: Sequence[int], heads: Sequence[Head]) -> list[Turn]:
    """Turns that keep the shapes of the window and of the patches, the identity first."""
    ndim = len(window)
    shapes = [tuple(window), *(head.patch for head in heads if head.patch)]
    orders = [
        order
        for order in permutations(range(ndim))
        if (ndim == 2 or order[0] == 0) and all(s[a] == s[b] for s in shapes for a, b in enumerate(order))
    ]
    found = [Turn(order, mirrored) for order in orders for mirrored in product((False, True), repeat=ndim)]
    return sorted(found, key=lambda t: (t.order, t.mirrored))


def _lost(turn: Turn, head: Head) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """An offset and what it turns back to, if the head has neither that nor its opposite; a direction likewise."""
    if head.transform == "none" and turn.turns:
        return (), ()
    points = {_near(point) for point in head.directions or ()}
    for point in sorted(points):
        if _near(turn.undo_offset(point)) not in points:
            return point, turn.undo_offset(point)
    known = {tuple(offset) for offset in head.offsets or ()}
    for offset in sorted(known):
        back = turn.undo_offset(offset)
        if back not in known and _opposite(back) not in known:
            return offset, back
    return None


def _near(point: Sequence[float]) -> tuple[float, ...]:
    """A point up to rounding; −0 is 0."""
    return tuple(round(float(x), 5) + 0.0 for x in point)


def _opposite(offset: Sequence[int]) -> tuple[int, ...]:
    return tuple(-o for o in offset)
