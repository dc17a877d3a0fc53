"""Foreground voxels of an image and what the heads say at them: all that blocks hand on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.gpu.backend import Backend
from toolkit.values import runs
from toolkit.values.instances import Instances
from toolkit.values.prediction import Prediction
from toolkit.values.tiles import Box

Ints = NDArray[np.int64]
STEPS = 255
"""Probabilities are kept as integers 0…255: their sums do not depend on the order of blocks, nor on the device."""


@dataclass(frozen=True, eq=False)
class Foreground:
    """Runs of foreground voxels in an image of `shape`, in raster order, and uint8 `values[name]` `(C, voxels)` in the
    order of the runs."""

    shape: tuple[int, ...]
    voxel_size: tuple[float, ...]
    start: Ints
    length: Ints
    values: dict[str, NDArray[np.uint8]]

    @classmethod
    def of(cls, prediction: Prediction, where: Any, heads: Sequence[str], backend: Backend) -> Foreground:
        """The voxels of the core where the device array `where` `(*core.shape)` is true, with these heads there.

        `prediction` is cropped to its core. Values are probabilities, clipped to [0, 1].
        """
        assert prediction.box == prediction.core, "gather from the core only"
        start, length, _ = runs.of_labels(backend.to_numpy(where).view(np.uint8))
        position = np.stack(np.unravel_index(start, prediction.core.shape), axis=0)
        position += np.array(prediction.core.start)[:, None]
        image_start = np.ravel_multi_index(tuple(position), prediction.shape).astype(np.int64)
        xp = backend.xp
        values = {
            name: backend.to_numpy(xp.rint(xp.clip(prediction[name][:, where], 0, 1) * STEPS).astype(xp.uint8))
            for name in heads
        }
        return cls(prediction.shape, prediction.voxel_size, image_start, length, values)

    @classmethod
    def join(cls, parts: Sequence[Foreground]) -> Foreground:
        """The foreground of the whole image from those of blocks, in any order, that share no voxel."""
        start, length = (np.concatenate([getattr(p, name) for p in parts]) for name in ("start", "length"))
        order = np.argsort(start)
        picked = runs.voxels((np.cumsum(length) - length)[order], length[order])
        names = parts[0].values
        values = {name: np.concatenate([p.values[name] for p in parts], axis=1)[:, picked] for name in names}
        width = parts[0].shape[-1]
        start, length, _ = runs.unite(start, length, np.zeros(len(start), np.int64), width)
        return cls(parts[0].shape, parts[0].voxel_size, start, length, values)

    @cached_property
    def offsets(self) -> Ints:
        """Where the values of each run begin; the last entry is the number of voxels."""
        return np.concatenate([[0], np.cumsum(self.length)]).astype(np.int64)

    @cached_property
    def component(self) -> Ints:
        """Connected component (over faces) of each run, numbered by first voxel."""
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        rows = self.shape[:-1]
        coordinates = np.unravel_index(self.start // max(1, self.shape[-1]), rows) if rows else ()
        pairs = [np.zeros((2, 0), np.int64)]
        for axis, coordinate in enumerate(coordinates):
            step = int(np.prod(self.shape[axis + 1 :]))
            below = np.flatnonzero(coordinate + 1 < rows[axis])
            for i, j, _ in runs.overlaps(self.start[below] + step, self.length[below], self.start, self.length):
                pairs.append(np.stack([below[i], j]))
        i, j = np.concatenate(pairs, axis=1)
        count = len(self.start)
        if count == 0:
            return np.zeros(0, np.int64)
        _, label = connected_components(
            coo_array((np.ones(len(i), bool), (i, j)), shape=(count, count)), directed=False
        )
        _, first, inverse = np.unique(label, return_index=True, return_inverse=True)
        return np.argsort(np.argsort(first))[inverse].astype(np.int64)

    def pieces(self, at_least: int = 1) -> Iterator[Piece]:
        """The connected components of `at_least` voxels, in order of their first voxel."""
        order = np.argsort(self.component, kind="stable")
        ends = np.searchsorted(self.component[order], np.arange(int(self.component.max(initial=-1)) + 2))
        for low, high in pairwise(ends.tolist()):
            run = order[low:high]
            if int(self.length[run].sum()) >= at_least:
                yield Piece(self, run)

    def instances(self, label: Ints, min_size: int, scored_by: str) -> Instances:
        """Objects of equal positive `label` `(voxels,)`, scored by the mean of the first channel of `scored_by`."""
        start, length, owner = runs.of_voxels(runs.voxels(self.start, self.length), label, self.shape[-1])
        size = np.bincount(label, minlength=1)
        total = np.bincount(label, weights=self.values[scored_by][0], minlength=1)
        kept = (size >= min_size) & (np.arange(len(size)) > 0)
        run = kept[owner]
        scores = total / (STEPS * np.maximum(size, 1))
        return Instances.from_runs(self.shape, start[run], length[run], owner[run], scores)


@dataclass(frozen=True, eq=False)
class Piece:
    """A connected component of the foreground: the runs `run` of `whole`."""

    whole: Foreground
    run: Ints

    @cached_property
    def index(self) -> Ints:
        """Positions of its voxels in the values of the whole."""
        return runs.voxels(self.whole.offsets[:-1][self.run], self.whole.length[self.run])

    @cached_property
    def where(self) -> tuple[Ints, ...]:
        """Coordinates of its voxels in the image."""
        return np.unravel_index(runs.voxels(self.whole.start[self.run], self.whole.length[self.run]), self.whole.shape)

    @cached_property
    def box(self) -> Box:
        """Its bounding box, grown by one voxel inside the image."""
        low, high = (tuple(int(f(w)) for w in self.where) for f in (np.min, np.max))
        return Box(low, tuple(v + 1 for v in high)).grow((1,) * len(low), self.whole.shape)

    @cached_property
    def inside(self) -> tuple[Ints, ...]:
        """Coordinates of its voxels in its box."""
        return tuple(w - a for w, a in zip(self.where, self.box.start, strict=True))

    @cached_property
    def mask(self) -> NDArray[np.bool_]:
        """True at its voxels, in its box."""
        mask = np.zeros(self.box.shape, bool)
        mask[self.inside] = True
        return mask

    def values(self, name: str) -> NDArray[np.uint8]:
        """`(C, *box.shape)`, 0 outside of the piece."""
        source = self.whole.values[name]
        dense = np.zeros((len(source), *self.box.shape), np.uint8)
        dense[:, self.mask] = source[:, self.index]
        return dense


def divide(
    foreground: Foreground, labels_of: Callable[[Piece], NDArray[Any]], min_size: int, scored_by: str = "foreground"
) -> Instances:
    """Instances from a division of each connected component: `labels_of(piece)` is a label image of the piece's box.

    Components and objects of fewer than `min_size` voxels are dropped.
    """
    label = np.zeros(int(foreground.offsets[-1]), np.int64)
    used = 0
    for piece in foreground.pieces(min_size):
        _, own = np.unique(labels_of(piece)[piece.inside], return_inverse=True)
        label[piece.index] = own + used + 1
        used += int(own.max()) + 1
    return foreground.instances(label, min_size, scored_by)
