"""Time series: frames are images of their own, and their objects together have one axis more, T before space."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.values import attributes
from toolkit.values.image import Image
from toolkit.values.instances import Instances


def stack(frames: Sequence[Instances]) -> Instances:
    """The objects of all frames in `(T, *shape)`. Ids go on from frame to frame."""
    shape = frames[0].shape
    size, ids = prod(shape), np.cumsum([0, *(len(f) for f in frames)])
    start = np.concatenate([f.start + t * size for t, f in enumerate(frames)])
    owner = np.concatenate([f.owner + ids[t] for t, f in enumerate(frames)])
    length = np.concatenate([f.length.astype(np.int64) for f in frames])
    scores = np.concatenate([f.scores for f in frames])
    kept = attributes.joined([(len(f), f.attributes) for f in frames])
    return Instances.from_runs((len(frames), *shape), start, length, owner, scores, kept)


def frame(instances: Instances, number: int) -> Instances:
    """The objects of one frame of a stack."""
    shape = instances.shape[1:]
    inside = instances.start // prod(shape) == number
    owner = instances.owner[inside]
    ids, owner = np.unique(owner, return_inverse=True)
    start, length = instances.start[inside] - number * prod(shape), instances.length[inside].astype(np.int64)
    return Instances.from_runs(shape, start, length, owner, instances.scores[ids],
                               attributes.picked(instances.attributes, ids))  # fmt: skip


def along(frames: Sequence[Image]) -> Image:
    """All frames as one lazy image, one after the other along the first axis: what they have in common, such as a
    scale, is found in it. One frame is itself."""
    return frames[0] if len(frames) == 1 else replace(frames[0], source=_Along(tuple(f.source for f in frames)))


@dataclass(frozen=True, eq=False)
class _Along:
    sources: tuple[Any, ...]

    @property
    def dtype(self) -> np.dtype[Any]:
        dtype: np.dtype[Any] = np.dtype(self.sources[0].dtype)
        return dtype

    @property
    def shape(self) -> tuple[int, ...]:
        channels, first, *rest = self.sources[0].shape
        return (int(channels), int(first) * len(self.sources), *map(int, rest))

    def __getitem__(self, key: tuple[slice, ...]) -> NDArray[Any]:
        low, high, _ = key[1].indices(self.shape[1])
        each = int(self.sources[0].shape[1])
        parts = [
            np.asarray(source[(key[0], slice(max(low - t * each, 0), min(high - t * each, each)), *key[2:])])
            for t, source in enumerate(self.sources)
            if low < (t + 1) * each and high > t * each
        ]
        return np.concatenate(parts, axis=1)


def planes(frames: Sequence[Image]) -> Image:
    """Flat frames as the planes of one lazy volume."""
    source = _Planes(tuple(frame.source for frame in frames))
    return replace(frames[0], source=source, axes="CZYX", voxel_size=())


class _Planes(_Along):
    @property
    def shape(self) -> tuple[int, ...]:
        channels, *rest = self.sources[0].shape
        return (int(channels), len(self.sources), *map(int, rest))

    def __getitem__(self, key: tuple[slice, ...]) -> NDArray[Any]:
        taken = self.sources[key[1]]
        return np.stack([np.asarray(source[(key[0], *key[2:])]) for source in taken], axis=1)
