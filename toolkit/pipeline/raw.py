"""Heads as a torch module leaves them: activated where somebody asks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

from toolkit.gpu.backend import Backend
from toolkit.values.prediction import Head

if TYPE_CHECKING:
    import torch

LANES = 64
"""A multiple of the numbers that a vector unit takes at once."""


@dataclass(frozen=True, eq=False)
class Raw:
    """A head of window `number` of a batch before its activation, which is computed where somebody asks.

    `maps` is a tensor `(B, C, *window)` or lazy. The head is that of the part `inside` (default: all) of the window of
    `shape`. `done`: the activation is part of the maps.
    """

    maps: Any
    number: int
    head: Head
    shape: tuple[int, ...]
    backend: Backend
    done: bool = False
    inside: tuple[slice, ...] = ()

    def crop(self, slices: tuple[slice, ...]) -> Raw:
        return Raw(self.maps, self.number, self.head, self.shape, self.backend, self.done, cut(self, slices))

    def everywhere(self) -> Any:
        import torch

        box = tuple(s.stop - s.start for s in self.inside) or self.shape
        with one_thread(), torch.inference_mode():
            if hasattr(self.maps, "shape"):
                raw = self.maps[(self.number, slice(None), *self.inside)]
            else:
                raw = self._rows(torch.ones(box, dtype=torch.bool, device=self.backend.device)).T.reshape(-1, *box)
            return self.backend.asarray(self._activated(raw))

    def at(self, mask: Any) -> Any:
        import torch

        with one_thread(), torch.inference_mode():
            where = torch.as_tensor(mask, device=self.backend.device)
            if hasattr(self.maps, "shape"):
                raw = self.maps[(self.number, slice(None), *self.inside)].movedim(0, -1)[where]
            else:
                raw = self._rows(where)
            return self.backend.asarray(self._activated(raw, channel=1).contiguous())

    def _rows(self, where: torch.Tensor) -> torch.Tensor:
        """The raw rows of a lazy head where `where` is true."""
        import torch

        place = torch.nonzero(where, as_tuple=True)
        index = torch.zeros_like(place[0])
        for axis, size in enumerate(self.shape):
            index = index * size + place[axis] + (self.inside[axis].start if self.inside else 0)
        rows: torch.Tensor = self.maps.at(index + self.number * prod(self.shape))
        return rows

    def _activated(self, raw: torch.Tensor, channel: int = 0) -> torch.Tensor:
        return raw.float() if self.done else steady(raw, self.head, channel)


def cut(raw: Any, slices: tuple[slice, ...]) -> tuple[slice, ...]:
    """Where `slices` of the part that `raw` is of lie in its window."""
    inside = raw.inside or tuple(slice(0, n) for n in raw.shape)
    return tuple(slice(a.start + s.start, a.start + s.stop) for a, s in zip(inside, slices, strict=True))


def steady(raw: torch.Tensor, head: Head, channel: int = 0) -> torch.Tensor:
    """The head's activation on raw outputs whose axis `channel` holds the channels, float32, contiguous: of each voxel
    the same, whatever stands beside it.

    The vector units of a CPU and the loop over what is left of an array round differently: so nothing is left.
    """
    import torch

    if head.activation == "none":
        return raw.float().contiguous()
    if head.activation == "softmax":
        return _softmax(raw.movedim(channel, 0).float()).movedim(0, channel)
    size = raw.numel()
    whole = torch.zeros(-(-size // LANES) * LANES, device=raw.device)
    found = whole[:size].view(raw.shape)
    found.copy_(raw)
    (torch.sigmoid_ if head.activation == "sigmoid" else torch.tanh_)(whole)
    return found


def _softmax(raw: torch.Tensor) -> torch.Tensor:
    """Over the first axis."""
    import torch

    flat = raw.flatten(1)
    whole = torch.nn.functional.pad(flat, (0, -flat.shape[1] % LANES)).contiguous()
    grown = torch.exp(whole - whole.amax(0))
    total = grown[0].clone()
    for one in grown[1:]:
        total += one
    return (grown / total)[:, : flat.shape[1]].reshape(raw.shape)


def activate(raw: torch.Tensor, head: Head) -> Any:
    """The head's activation on raw outputs `(B, C, *S)`, or `(N, C)`."""
    import torch

    match head.activation:
        case "sigmoid":
            return torch.sigmoid(raw)
        case "tanh":
            return torch.tanh(raw)
        case "softmax":
            return torch.softmax(raw, 1)
        case "none":
            return raw


@contextmanager
def one_thread() -> Iterator[None]:
    """One torch thread inside: two threads round differently from one."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
