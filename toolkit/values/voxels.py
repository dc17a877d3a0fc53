"""Some voxels of an image and what is known of them: what most methods keep of what a network says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.values import runs
from toolkit.values.instances import Instances
from toolkit.values.tiles import Box

Ints = NDArray[np.int64]
CHUNK = 2**22
"""Voxels that are looked at at once."""


@dataclass(frozen=True, eq=False)
class Voxels:
    """A set of voxels of an image of `shape` `(Z)YX`, as runs in raster order, and arrays in the order of its voxels.

    A run is `length[r]` voxels from raster index `start[r]` of the image on and stays in one row. `values[name]` is
    `(P, …)` for P voxels. The set speaks for `box`: no other voxel of it is a member; `core` is the part of `box` that
    a block answers for. `voxel_size` is in micrometres per axis.
    """

    shape: tuple[int, ...]
    box: Box
    core: Box
    start: Ints
    length: Ints
    values: Mapping[str, NDArray[Any]]
    voxel_size: tuple[float, ...] = ()

    @classmethod
    def of(
        cls,
        mask: NDArray[np.bool_],
        values: Mapping[str, NDArray[Any]],
        box: Box,
        shape: Sequence[int],
        voxel_size: tuple[float, ...] = (),
    ) -> Voxels:
        """The true voxels of `mask` `box.shape`, which lies at `box`; `values[name]` `(P, …)` in raster order."""
        start, length, _ = runs.of_labels(np.ascontiguousarray(mask).view(np.uint8))
        start = _moved(start, box, tuple(shape))
        return cls(tuple(shape), box, box, start, length.astype(np.int64), values, voxel_size)

    @classmethod
    def join(cls, parts: Iterable[Voxels], box: Box | None = None, core: Box | None = None) -> Voxels:
        """All voxels of sets that share none, in any order. They speak for `box` (default: the whole image).

        `parts` is iterated twice, and no part is held: where they are read from files, no voxel is in memory twice.
        """
        parts = list(parts) if isinstance(parts, Iterator) else parts
        bare = [replace(part, values={}) for part in parts]
        first = next(iter(parts))
        box = box or Box.whole(first.shape)
        if len(bare) == 1:
            return replace(first, box=box, core=core or box)
        start, length = (np.concatenate([getattr(p, name) for p in bare]) for name in ("start", "length"))
        order = np.argsort(start, kind="stable")
        place = np.empty(len(start), np.int64)
        place[order] = np.cumsum(length[order]) - length[order]
        values = {n: np.empty((int(length.sum()), *v.shape[1:]), v.dtype) for n, v in first.values.items()}
        at = 0
        for part in parts:
            where = runs.voxels(place[at : at + len(part.start)], part.length)
            at += len(part.start)
            if form(part) != form(first):
                raise ValueError(f"voxels with {form(part)} are not joined to voxels with {form(first)}")
            for name, value in part.values.items():
                values[name][where] = value
        start, length, _ = runs.unite(start, length, np.zeros(len(start), np.int64), max(1, first.shape[-1]))
        return cls(first.shape, box, core or box, start, length, values, first.voxel_size)

    def __len__(self) -> int:
        return int(self.offsets[-1])

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.values[name]

    @cached_property
    def offsets(self) -> Ints:
        """Where the values of each run begin; the last entry is the number of voxels."""
        return np.concatenate([[0], np.cumsum(self.length)]).astype(np.int64)

    @property
    def index(self) -> Ints:
        """Raster index in the image of each voxel, ascending."""
        return runs.voxels(self.start, self.length)

    @property
    def where(self) -> tuple[Ints, ...]:
        """Coordinates of each voxel in the image, one array per axis."""
        return np.unravel_index(self.index, self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of its arrays."""
        return int(self.start.nbytes + self.length.nbytes + sum(v.nbytes for v in self.values.values()))

    def mask(self) -> NDArray[np.bool_]:
        """True at its voxels, `box.shape`."""
        mask = np.zeros(self.box.shape, bool)
        mask.reshape(-1)[self.inside] = True
        return mask

    @property
    def inside(self) -> Ints:
        """Raster index in `box` of each voxel, which all lie in it."""
        if self.box == Box.whole(self.shape):
            return self.index
        place = np.stack(np.unravel_index(self.start, self.shape)) - np.array(self.box.start)[:, None]
        return runs.voxels(np.ravel_multi_index(tuple(place), self.box.shape).astype(np.int64), self.length)

    def valued(self, values: Mapping[str, NDArray[Any]]) -> Voxels:
        """The same voxels with other values."""
        return replace(self, values=values)

    def labelled(self, label: NDArray[Any], scores: NDArray[Any]) -> Instances:
        """Objects of equal `label` `(P,)` of its voxels, which is an index into `scores`; below 0 is no object."""
        found: list[tuple[Ints, Ints, NDArray[Any]]] = []
        for part in runs.chunks(self.length, CHUNK):
            own = label[self.offsets[part.start] : self.offsets[part.stop]]
            index = runs.voxels(self.start[part], self.length[part])
            start, length, owner = runs.of_voxels(index, own, max(1, self.shape[-1]))
            some = owner >= 0
            found.append((start[some], length[some].astype(np.int32), owner[some]))
        none: tuple[Ints, Ints, NDArray[Any]] = (np.zeros(0, np.int64), np.zeros(0, np.int32), np.zeros(0, np.int64))
        start, length, owner = (np.concatenate([f[k] for f in found or [none]]) for k in range(3))
        return Instances.from_runs(self.shape, start, length, owner, scores)

    def select(self, keep: NDArray[np.bool_]) -> Voxels:
        """The voxels where `keep` `(P,)` is true."""
        known = {name: v[keep] for name, v in self.values.items()}
        index = self.index[keep]
        start, length, _ = runs.of_voxels(index, np.zeros_like(index), max(1, self.shape[-1]))
        return replace(self, start=start, length=length, values=known)

    def crop(self, box: Box) -> Voxels:
        """The voxels inside `box`, which lies in `self.box`, and nothing else."""
        if box == self.box:
            return self
        run, first, length = self.cut(box)
        picked = runs.voxels(self.offsets[:-1][run] + first, length)
        values = {name: v[picked] for name, v in self.values.items()}
        return replace(self, box=box, core=box & self.core, start=self.start[run] + first, length=length, values=values)

    def cut(self, box: Box) -> tuple[Ints, Ints, Ints]:
        """Which runs meet `box`: their number, the voxels of each before it, and those in it."""
        at = np.unravel_index(self.start, self.shape)
        rows = np.ones(len(self.start), bool)
        for axis in range(len(self.shape) - 1):
            rows &= (at[axis] >= box.start[axis]) & (at[axis] < box.stop[axis])
        run = np.flatnonzero(rows)
        low, high = box.start[-1], box.stop[-1]
        column = at[-1][run]
        first = np.maximum(low - column, 0)
        length = np.minimum(column + self.length[run], high) - column - first
        some = length > 0
        return run[some], first[some].astype(np.int64), length[some].astype(np.int64)

    def neighbours(self, offset: Sequence[int]) -> tuple[Ints, Ints]:
        """Positions `(i, j)` of all pairs of voxels of the set of which j lies at `offset` from i, ascending in i."""
        at = np.stack(np.unravel_index(self.start, self.shape), axis=1) + np.array(offset)
        rows = np.flatnonzero(np.all((at[:, :-1] >= 0) & (at[:, :-1] < self.shape[:-1]), axis=1))
        low = np.maximum(at[rows, -1], 0)
        high = np.minimum(at[rows, -1] + self.length[rows], self.shape[-1])
        start = np.ravel_multi_index((*at[rows, :-1].T, np.minimum(low, self.shape[-1] - 1)), self.shape)
        here, there = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        for a, b, shared in runs.overlaps(start, np.maximum(high - low, 0), self.start, self.length):
            begin = np.maximum(start[a], self.start[b])
            there.append(runs.voxels(self.offsets[:-1][b] + begin - self.start[b], shared))
            source = self.offsets[:-1][rows[a]] + begin - start[a] + (low[a] - at[rows[a], -1])
            here.append(runs.voxels(source, shared))
        i, j = np.concatenate(here), np.concatenate(there)
        order = np.argsort(i, kind="stable")
        return i[order], j[order]

    def sound(self) -> bool:
        """Whether its runs are in raster order, share no voxel and lie in rows of `box`."""
        start, stop = self.start, self.start + self.length
        if len(start) == 0:
            return True
        if start[0] < 0 or stop[-1] > prod(self.shape) or (self.length < 1).any() or (start[1:] < stop[:-1]).any():
            return False
        return len(self) == int(self.cut(self.box)[2].sum())

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Its arrays by name, for a file."""
        return {"start": self.start, "length": self.length, **{f"values.{n}": v for n, v in self.values.items()}}


def form(voxels: Voxels) -> dict[str, tuple[str, tuple[int, ...]]]:
    """What is known of each voxel: dtype and shape by name."""
    return {name: (str(value.dtype), value.shape[1:]) for name, value in voxels.values.items()}


def _moved(start: Ints, box: Box, shape: tuple[int, ...]) -> Ints:
    """Raster indices in `box` as such in the image."""
    if box == Box.whole(shape):
        return start.astype(np.int64)
    place = np.stack(np.unravel_index(start, box.shape)) + np.array(box.start)[:, None]
    return np.asarray(np.ravel_multi_index(tuple(place), shape), np.int64)
