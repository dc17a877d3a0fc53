"""Coarser voxels for the network: images are averaged before it, objects enlarged after it. Exact for any boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.values import attributes
from toolkit.values.image import Image
from toolkit.values.instances import Instances
from toolkit.values.truth import Truth


def shrink(image: Image, by: Sequence[int]) -> Image:
    """A lazy image of `ceil(n / by)` voxels per axis, float32: each is the mean of the `by` voxels per axis that it
    stands for, fewer at the far border."""
    if all(b == 1 for b in by):
        return image
    size = tuple(s * b for s, b in zip(image.voxel_size, by, strict=True))
    source = _Averaged(image.source, tuple(by), (image.channels, *shrunk(image.shape, by)))
    return replace(image, source=source, voxel_size=size)


def shrink_truth(truth: Truth, by: Sequence[int]) -> Truth:
    """The truth of a shrunk image: each voxel is what most of those are that it stands for, in case of doubt an object,
    and void if one of them is."""
    if all(b == 1 for b in by):
        return truth
    steps = np.array(by)
    return Truth(
        layers=np.stack([_most(_parts(layer, by)) for layer in truth.layers]),
        void=None if truth.void is None else np.asarray(_parts(truth.void, by).any(0)),
        voxel_size=tuple(s * b for s, b in zip(truth.voxel_size, by, strict=True)),
        ids=truth.ids,
        centres=(truth.centres - (steps - 1) / 2) / steps,
    )


def enlarge(instances: Instances, by: Sequence[int], shape: Sequence[int]) -> Instances:
    """Objects of a shrunk image in the image of `shape` that it was made from."""
    if all(b == 1 for b in by):
        return instances
    where = np.stack(np.unravel_index(instances.start, instances.shape)) * np.array(by)[:, None]
    length = np.minimum(instances.length.astype(np.int64) * by[-1], shape[-1] - where[-1])
    parts = []
    for step in np.ndindex(*by[:-1], 1):
        row = where + np.array(step)[:, None]
        inside = (row < np.array(shape)[:, None]).all(0)
        start = np.ravel_multi_index(tuple(row[:, inside]), tuple(shape))
        parts.append((start.astype(np.int64), length[inside], instances.owner[inside]))
    start, length, owner = (np.concatenate(column) for column in zip(*parts, strict=True))
    there = attributes.moved(instances.attributes, (0,) * len(by), tuple(by))
    return Instances.from_runs(shape, start, length, owner, instances.scores, there)


def shrunk(shape: Sequence[int], by: Sequence[int]) -> tuple[int, ...]:
    """Shape of an image of `shape` after shrinking."""
    return tuple(-(-n // b) for n, b in zip(shape, by, strict=True))


def _parts(volume: NDArray[Any], by: Sequence[int]) -> NDArray[Any]:
    """The `prod(by)` voxels that each voxel of the shrunk volume stands for, `(prod(by), *shrunk)`."""
    small = shrunk(volume.shape, by)
    lacking = [(0, n * b - full) for n, b, full in zip(small, by, volume.shape, strict=True)]
    padded = np.pad(volume, lacking, mode="edge")
    return np.stack([padded[tuple(slice(a, None, b) for a, b in zip(at, by, strict=True))] for at in np.ndindex(*by)])


def _most(labels: NDArray[np.int32]) -> NDArray[np.int32]:
    """The most frequent of the labels along the first axis; of equally frequent ones an object, the first."""
    most = np.stack([2 * (labels == label).sum(0) + (label > 0) for label in labels]).argmax(0)
    return np.asarray(np.take_along_axis(labels, most[None], 0)[0])


@dataclass(frozen=True, eq=False)
class _Averaged:
    """Local means of a lazy array; a voxel depends on those it stands for, whatever is read with it."""

    source: Any
    by: tuple[int, ...]
    shape: tuple[int, ...]

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.float32)

    def __getitem__(self, key: tuple[slice, ...]) -> NDArray[np.float32]:
        spans = [slice(*k.indices(n)) for k, n in zip(key[1:], self.shape[1:], strict=True)]
        fine = tuple(slice(s.start * b, s.stop * b) for s, b in zip(spans, self.by, strict=True))
        voxels = np.asarray(self.source[(slice(None), *fine)])[key[0]].astype(np.float64)
        for axis, (span, b) in enumerate(zip(spans, self.by, strict=True), start=1):
            if b > 1 and voxels.shape[axis]:
                first = np.arange(0, voxels.shape[axis], b)
                count = np.diff(first, append=voxels.shape[axis]).reshape(-1, *(1,) * (voxels.ndim - 1 - axis))
                voxels = np.add.reduceat(voxels, first, axis=axis) / count
            assert voxels.shape[axis] == span.stop - span.start
        return voxels.astype(np.float32)
