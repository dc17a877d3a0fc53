"""What runs a network on windows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from toolkit.gpu.backend import Backend
from toolkit.plugins import seams
from toolkit.plugins.specs import Network
from toolkit.steps.turns import Turn
from toolkit.values.prediction import Head

if TYPE_CHECKING:
    import torch

LANES = 64
"""A multiple of the numbers that a vector unit takes at once."""


class TorchEngine:
    """A torch module. `engine(voxels) -> [{head: Raw, …}, …]`, one for each window of `voxels` `(B, C, *window)`.

    A module may have a method `lazily(image)`, which is its `forward` but may give a head as something with
    `at(pixels) -> (N, channels)` instead of a tensor. With several `turns` the outputs are averaged: raw, or after the
    activation where `after`.
    """

    def __init__(
        self,
        module: torch.nn.Module,
        backend: Backend,
        heads: Sequence[Head],
        turns: Sequence[Turn],
        network: Network,
        after: bool,
    ) -> None:
        """`network` is named where the module goes wrong."""
        self._module = module.to(backend.device)
        self._backend = backend
        self._heads = heads
        self._turns = turns
        self._network = network
        self._after = after and len(turns) > 1

    def __call__(self, voxels: NDArray[np.float32]) -> list[dict[str, Raw]]:
        import torch

        with torch.inference_mode():
            windows = torch.from_numpy(voxels).to(self._backend.device)
            out = self._once(windows) if len(self._turns) == 1 else self._turned(windows)
        shape, done = voxels.shape[2:], self._after
        return [
            {h.name: Raw(out[h.name], i, h, shape, self._backend, done) for h in self._heads}
            for i in range(len(voxels))
        ]

    def _once(self, windows: torch.Tensor) -> dict[str, Any]:
        lazily: Any = getattr(self._module, "lazily", self._module)
        return self._said(lazily, windows)

    def _said(self, module: Any, windows: torch.Tensor) -> dict[str, Any]:
        with seams.calling(self._network, "build"):
            found: dict[str, Any] = module(windows)
        seams.raw(found, self._heads, tuple(windows.shape[2:]), self._network)
        return found

    def _turned(self, windows: torch.Tensor) -> dict[str, Any]:
        sums: dict[str, Any] = {}
        for turn in self._turns:
            raw = self._said(self._module, turn.apply(windows).contiguous())
            for head in self._heads:
                said = turn.undo_head(raw[head.name].float(), head)
                said = activate(said, head) if self._after else said
                sums[head.name] = sums[head.name] + said if head.name in sums else said
        return {name: total / len(self._turns) for name, total in sums.items()}


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
        inside = self.inside or tuple(slice(0, n) for n in self.shape)
        cut = tuple(slice(a.start + s.start, a.start + s.stop) for a, s in zip(inside, slices, strict=True))
        return Raw(self.maps, self.number, self.head, self.shape, self.backend, self.done, cut)

    def everywhere(self) -> Any:
        import torch

        box = tuple(s.stop - s.start for s in self.inside) or self.shape
        with one_thread(), torch.inference_mode():
            if hasattr(self.maps, "shape"):
                raw = self.maps[(self.number, slice(None), *self.inside)].float().flatten(1)
            else:
                raw = self._rows(torch.ones(box, dtype=torch.bool, device=self.backend.device)).T
            return self.backend.asarray(self._activated(raw).reshape(-1, *box))

    def at(self, mask: Any) -> Any:
        import torch

        with one_thread(), torch.inference_mode():
            where = torch.as_tensor(mask, device=self.backend.device)
            if hasattr(self.maps, "shape"):
                raw = self.maps[(self.number, slice(None), *self.inside)][:, where].float()
            else:
                raw = self._rows(where).T
            return self.backend.asarray(self._activated(raw).T.contiguous())

    def _rows(self, where: torch.Tensor) -> torch.Tensor:
        """The raw rows of a lazy head where `where` is true."""
        import torch

        place = torch.nonzero(where, as_tuple=True)
        index = torch.zeros_like(place[0])
        for axis, size in enumerate(self.shape):
            index = index * size + place[axis] + (self.inside[axis].start if self.inside else 0)
        rows: torch.Tensor = self.maps.at(index + self.number * prod(self.shape))
        return rows.float()

    def _activated(self, raw: torch.Tensor) -> torch.Tensor:
        return raw if self.done else steady(raw, self.head)


def steady(raw: torch.Tensor, head: Head) -> torch.Tensor:
    """The head's activation on raw outputs `(C, N)`: of each voxel the same, whatever stands beside it.

    The vector units of a CPU and the loop over what is left of an array round differently: so nothing is left.
    """
    import torch

    count = raw.shape[1]
    whole = torch.nn.functional.pad(raw, (0, -count % LANES)).contiguous()
    if head.activation != "softmax":
        found: torch.Tensor = activate(whole, head)
        return found[:, :count]
    grown = torch.exp(whole - whole.amax(0))
    total = grown[0].clone()
    for channel in grown[1:]:
        total += channel
    return (grown / total)[:, :count]


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
