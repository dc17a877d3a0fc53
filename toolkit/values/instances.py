"""The one result type: objects that may overlap, as runs of voxels, with scores."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.values import attributes as about
from toolkit.values import runs
from toolkit.values.attributes import Attributes
from toolkit.values.order import canonical, coloured
from toolkit.values.shown import Shown
from toolkit.values.tiles import Box

Ints = NDArray[np.int64]
Said = Attributes | None
Scores = dict[int, float] | None
Each = Sequence[float] | None


@dataclass(frozen=True, eq=False, repr=False)
class Instances(Shown):
    """N objects in an image of `shape` `(Z)YX`; objects may share voxels. Compact: about 12 bytes per run.

    Object k (id k + 1) owns the runs `offsets[k]:offsets[k + 1]`. A run is `length[r]` voxels from raster index
    `start[r]` on and stays in one row (`row = start // X`). Canonical order: by first raster voxel, then size, then
    runs; so two equal sets of objects are equal arrays. `scores` are in [0, 1], one per object. `attributes`: what the
    method says of each object, `(N, …)` by name, such as `class`, `embedding`, or `polygon` `(N, K, D)` in voxels.
    """

    shape: tuple[int, ...]
    start: Ints
    length: NDArray[np.int32]
    offsets: Ints
    scores: NDArray[np.float32]
    attributes: Attributes = field(default_factory=dict)

    @classmethod
    def from_runs(
        cls, shape: Sequence[int], start: Ints, length: Ints, owner: Ints,
        scores: NDArray[Any] | None = None, attributes: Said = None,
    ) -> Instances:  # fmt: skip
        """Build from runs in any order, possibly overlapping; `owner[r]` is an index into `scores` and `attributes`.
        Owners without voxels vanish. Without `scores` every object has score 1."""
        shape = tuple(int(n) for n in shape)
        some = length > 0
        start, length, owner = (np.asarray(x, np.int64)[some] for x in (start, length, owner))
        start, length, owner = runs.unite(start, length, owner, width=max(1, shape[-1]))
        names, first, count = np.unique(owner, return_index=True, return_counts=True)
        size = np.add.reduceat(length, first) if len(first) else np.zeros(0, np.int64)
        values = np.ones(len(names), np.float32) if scores is None else np.asarray(scores, np.float32)[names]
        order = canonical(start, length, first, count, size, values)
        picked = runs.voxels(first[order], count[order])
        offsets = np.concatenate([[0], np.cumsum(count[order])]).astype(np.int64)
        kept = about.owned(attributes or {}, names[order], scores)
        return cls(shape, start[picked], length[picked].astype(np.int32), offsets, values[order], kept)

    @classmethod
    def empty(cls, shape: Sequence[int]) -> Instances:
        """No objects."""
        none = np.zeros(0, np.int64)
        return cls.from_runs(shape, none, none, none)

    @classmethod
    def from_labels(cls, labels: NDArray[np.integer], scores: Scores = None, attributes: Said = None) -> Instances:
        """One object per positive label, in however many pieces; 0 and negative labels are no objects.

        `scores` maps labels to scores in [0, 1]; absent labels score 1. `attributes` are in ascending order of labels;
        raises `ValueError` where they are of more or fewer objects.
        """
        return cls.from_layers(labels[None], scores, attributes)

    @classmethod
    def from_layers(cls, layers: NDArray[np.integer], scores: Scores = None, attributes: Said = None) -> Instances:
        """Objects of several label images `(L, *shape)`; a label that occurs in two layers is one object."""
        shape = layers.shape[1:]
        parts = [runs.of_labels(layer) for layer in layers]
        start, length, label = (np.concatenate([p[i] for p in parts]) for i in range(3))
        names, owner = np.unique(label, return_inverse=True)
        values, each = about.scored(scores, names.tolist()), about.each(attributes, len(names))
        return cls.from_runs(shape, start, length, owner.astype(np.int64), values, each)

    @classmethod
    def from_planes(cls, planes: NDArray[Any], scores: Each = None, attributes: Said = None) -> Instances:
        """One object per plane of a `(Q, *shape)` array, nonzero = inside; planes may overlap, empty ones vanish."""
        parts = [runs.of_labels((plane != 0).view(np.uint8)) for plane in planes]
        none = [np.zeros(0, np.int64)]
        owner = np.concatenate([np.full(len(p[0]), q, np.int64) for q, p in enumerate(parts)] or none)
        start, length = (np.concatenate([p[i] for p in parts] or none) for i in range(2))
        values = None if scores is None else about.each({"scores": np.asarray(scores)}, len(planes))["scores"]
        return cls.from_runs(planes.shape[1:], start, length, owner, values, about.each(attributes, len(planes)))

    @classmethod
    def concatenate(cls, shape: Sequence[int], parts: Sequence[Instances]) -> Instances:
        """All objects of all parts; nothing is merged."""
        first = np.cumsum([0, *(len(p) for p in parts)])
        none = Instances.empty(shape)
        sets = [none, *parts]
        owner = np.concatenate([none.owner, *(p.owner + n for p, n in zip(parts, first, strict=False))])
        start, length, scores = (np.concatenate([getattr(p, n) for p in sets]) for n in ("start", "length", "scores"))
        return cls.from_runs(shape, start, length, owner, scores, about.joined([(len(p), p.attributes) for p in parts]))

    def __len__(self) -> int:
        return len(self.scores)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Instances) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    @property
    def digest(self) -> str:
        """sha256 of shape and runs: equal for equal sets of objects. Scores are not part of it."""
        parts = (np.array(self.shape, np.int64), self.offsets, self.start, self.length.astype(np.int64))
        return hashlib.sha256(b"".join(p.tobytes() for p in parts)).hexdigest()

    @cached_property
    def owner(self) -> Ints:
        """Object index (id − 1) of each run."""
        return np.repeat(np.arange(len(self), dtype=np.int64), np.diff(self.offsets))

    @cached_property
    def sizes(self) -> Ints:
        """Voxels of each object."""
        return np.bincount(self.owner, weights=self.length, minlength=len(self)).astype(np.int64)

    @cached_property
    def moments(self) -> NDArray[np.float64]:
        """Sums of the coordinates of its voxels `(N, D)`, whole numbers."""
        length = self.length.astype(np.float64)
        where = [axis.astype(np.float64) for axis in np.unravel_index(self.start, self.shape)]
        where[-1] += (length - 1) / 2
        sums = [np.bincount(self.owner, weights=axis * length, minlength=len(self)) for axis in where]
        return np.stack(sums, axis=1)

    @property
    def centroids(self) -> NDArray[np.float64]:
        """Centres of mass `(N, D)` in voxels."""
        return self.moments / np.maximum(self.sizes, 1)[:, None]

    @cached_property
    def boxes(self) -> NDArray[np.int64]:
        """Bounding boxes `(N, 2, D)`: first and one past last voxel along each axis."""
        if not len(self):
            return np.zeros((0, 2, len(self.shape)), np.int64)
        low = np.stack(np.unravel_index(self.start, self.shape), axis=1)
        high = np.stack(np.unravel_index(self.start + self.length - 1, self.shape), axis=1) + 1
        first = self.offsets[:-1]
        return np.stack([np.minimum.reduceat(low, first), np.maximum.reduceat(high, first)], axis=1)

    @cached_property
    def _raster(self) -> tuple[Ints, Ints, Ints]:
        order = np.argsort(self.start, kind="stable")
        return self.start[order], self.length[order].astype(np.int64), self.owner[order]

    def within(self, box: Box) -> tuple[Ints, Ints, Ints]:
        """Runs in `box`, cut to it, in raster order: `(start, length, index of the object)`."""
        return runs.within(*self._raster, self.shape, box)

    def voxels(self, index: int) -> Ints:
        """Raster indices of the voxels of object `index` (id − 1), ascending."""
        span = slice(self.offsets[index], self.offsets[index + 1])
        return runs.voxels(self.start[span], self.length[span].astype(np.int64))

    def mask(self, index: int) -> tuple[Box, NDArray[np.bool_]]:
        """Bounding box of object `index` and its mask inside it."""
        low, high = self.boxes[index]
        box = Box(tuple(int(v) for v in low), tuple(int(v) for v in high))
        mask = np.zeros(box.shape, bool)
        mask[tuple(x - a for x, a in zip(np.unravel_index(self.voxels(index), self.shape), low, strict=True))] = True
        return box, mask

    def select(self, keep: NDArray[Any]) -> Instances:
        """The objects where `keep` is true, or with these indices."""
        index = np.flatnonzero(keep) if np.asarray(keep).dtype == bool else np.sort(np.asarray(keep, np.int64))
        count = np.diff(self.offsets)[index]
        picked = runs.voxels(self.offsets[index], count)
        offsets = np.concatenate([[0], np.cumsum(count)]).astype(np.int64)
        kept = about.picked(self.attributes, index)
        return Instances(self.shape, self.start[picked], self.length[picked], offsets, self.scores[index], kept)

    def moved(self, box: Box, shape: Sequence[int], keep: Box | None = None) -> tuple[Ints, Ints, Ints]:
        """Runs `(start, length, index of the object)` of these objects of an array that covers `box`, in an image of
        `shape`, cut to `keep` (default: the image)."""
        where = np.stack(np.unravel_index(self.start, self.shape), axis=1) + np.array(box.start)
        keep = Box.whole(shape) if keep is None else keep & Box.whole(shape)
        inside = np.all((where[:, :-1] >= keep.start[:-1]) & (where[:, :-1] < keep.stop[:-1]), axis=1)
        column = np.maximum(where[:, -1], keep.start[-1])
        length = np.minimum(where[:, -1] + self.length, keep.stop[-1]) - column
        inside &= length > 0
        start = np.ravel_multi_index((*where[inside, :-1].T, column[inside]), tuple(shape))
        return start.astype(np.int64), length[inside].astype(np.int64), self.owner[inside]

    def place(self, box: Box, shape: Sequence[int], keep: Box | None = None) -> Instances:
        """These objects of an array that covers `box` of an image of `shape`, in image coordinates, cut to `keep`."""
        there = about.moved(self.attributes, box.start)
        return Instances.from_runs(shape, *self.moved(box, shape, keep), scores=self.scores, attributes=there)

    def crop(self, box: Box) -> Instances:
        """The parts of the objects inside `box`, in the coordinates of `box`."""
        return self.place(Box.whole(self.shape).relative_to(box), box.shape)

    def intersections(self, other: Instances) -> tuple[Ints, Ints, Ints]:
        """Sparse overlap with `other`: `(index here, index there, shared voxels)`, sorted by the two indices."""
        assert self.shape == other.shape, f"shapes differ: {self.shape} and {other.shape}"
        mine, theirs = ((x.start, x.length.astype(np.int64), x.owner) for x in (self, other))
        return runs.shared(mine, theirs, len(other))

    def overlapping_pairs(self) -> tuple[Ints, Ints, Ints]:
        """Pairs `(i, j, shared voxels)`, i < j, of objects that share voxels."""
        i, j, shared = self.intersections(self)
        return i[i < j], j[i < j], shared[i < j]

    @cached_property
    def layer_of(self) -> Ints:
        """Layer of each object, so that no two in one layer share a voxel: greedy colouring in id order."""
        return coloured(len(self), *self.overlapping_pairs()[:2])

    def layers(self) -> NDArray[np.uint16 | np.uint32]:
        """Label images `(L, *shape)`, L ≥ 1, by `layer_of`. Ids 1…N; uint16 up to 65 535 objects, uint32 above."""
        out = np.zeros((int(self.layer_of.max(initial=0)) + 1, *self.shape), self.label_dtype)
        flat = out.reshape(len(out), -1)
        for layer in range(len(out)):
            run = self.layer_of[self.owner] == layer
            length = self.length[run].astype(np.int64)
            flat[layer][runs.voxels(self.start[run], length)] = np.repeat(self.owner[run] + 1, length)
        return out

    def to_labels(self) -> NDArray[np.uint16 | np.uint32]:
        """One label image `shape`; where objects overlap the higher score wins, then the lower id."""
        out = np.zeros(self.shape, self.label_dtype)
        rank = np.lexsort((-np.arange(len(self)), self.scores))
        place = np.empty(len(self), np.int64)
        place[rank] = np.arange(len(self))
        run = np.argsort(place[self.owner], kind="stable")
        length = self.length[run].astype(np.int64)
        out.reshape(-1)[runs.voxels(self.start[run], length)] = np.repeat(self.owner[run] + 1, length)
        return out

    @property
    def label_dtype(self) -> type[np.uint16] | type[np.uint32]:
        return np.uint16 if len(self) < 2**16 else np.uint32
