"""The engine `onnxruntime`: the graph of a package on windows, without torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.pipeline.raw import LANES, cut
from toolkit.values.prediction import Head

Maps = NDArray[np.float32]


class GraphEngine:
    """`engine(voxels) -> [{head: Said, …}, …]`, one for each window of `voxels` `(B, C, *window)`.

    `run` gives the heads in order, with `tanh` applied.
    """

    def __init__(self, run: Callable[[Sequence[Maps]], list[Maps]], heads: Sequence[Head]) -> None:
        self._run, self._heads = run, heads

    def __call__(self, voxels: Maps) -> list[dict[str, Said]]:
        maps = self._run([voxels])
        return [
            {head.name: Said(one[i], head) for head, one in zip(self._heads, maps, strict=True)}
            for i in range(len(voxels))
        ]


@dataclass(frozen=True, eq=False)
class Said:
    """A head of a window `(C, *window)` before its activation, which is computed where somebody asks; that of the part
    `inside` (default: all) of the window."""

    maps: Maps
    head: Head
    inside: tuple[slice, ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the window."""
        return self.maps.shape[1:]

    def crop(self, slices: tuple[slice, ...]) -> Said:
        return Said(self.maps, self.head, cut(self, slices))

    def everywhere(self) -> Any:
        return activated(self.maps[(slice(None), *self.inside)], self.head)

    def at(self, mask: Any) -> Any:
        return activated(self.maps[(slice(None), *self.inside)][:, mask], self.head).T.copy()


def activated(raw: Maps, head: Head) -> Maps:
    """The head's activation, of a graph that has applied `tanh`, on raw outputs `(C, …)`: of each voxel the same,
    whatever stands beside it."""
    if head.activation in ("none", "tanh"):
        return np.ascontiguousarray(raw)
    flat = raw.reshape(len(raw), -1)
    whole: NDArray[Any] = np.zeros((len(raw), -(-flat.shape[1] // LANES) * LANES), np.float32)
    whole[:, : flat.shape[1]] = flat
    with np.errstate(over="ignore"):  # e^x that is infinite is a probability of 0
        if head.activation == "sigmoid":
            whole = 1 / (1 + np.exp(-whole))
        else:
            whole = np.exp(whole - whole.max(0))
            total = whole[0].copy()
            for one in whole[1:]:
                total += one
            whole /= total
    return np.ascontiguousarray(whole[:, : flat.shape[1]]).reshape(raw.shape)
