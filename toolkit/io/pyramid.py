"""The pyramid of a label layer in a Zarr: its levels, and the files that they have in common in a box."""
# ruff: noqa: TID253
# Imported only where a Zarr is written.

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from zarr.storage import MemoryStore

from toolkit.io.omeformat import OmeFormat
from toolkit.values.tiles import Box, boxes

CHUNK = {2: (2048, 2048), 3: (64, 256, 256)}
"""Voxels per chunk: each a few megabytes."""
SHARD = {2: (4096, 4096), 3: (128, 512, 512)}
"""Voxels that are rendered at once, of all levels; where they are several chunks, these are one file."""
SMALLEST = 512
"""The pyramid ends where no axis is longer."""


@dataclass(frozen=True)
class Pyramid:
    """Levels of every `steps[k]`-th voxel of label layers of `shape`, in `chunk`s and `shard`s that shrink with them:
    so the files of a box of `shard` voxels are those of no other box, and are made of its labels alone."""

    shape: tuple[int, ...]
    dtype: str
    axes: str
    steps: tuple[tuple[int, ...], ...]
    chunk: tuple[int, ...]
    shard: tuple[int, ...]
    form: OmeFormat

    stage = "labels"

    @classmethod
    def over(
        cls, shape: tuple[int, ...], dtype: np.dtype[Any], axes: str, voxel_size: tuple[float, ...] | None,
        form: OmeFormat,
    ) -> Pyramid:  # fmt: skip
        """The levels that suit a shape; an axis of time is not divided."""
        lead = (1,) * axes.startswith("T")
        space = shape[len(lead) :]
        steps = tuple((*lead, *step) for step in strides(space, voxel_size or (1.0,) * len(space)))
        chunk, shard = ((*lead, *of[len(space)]) for of in (CHUNK, SHARD))
        return cls(shape, dtype.str, axes, steps, chunk, shard, form)

    @property
    def boxes(self) -> list[Box]:
        """The boxes that have files of their own."""
        return list(boxes(self.shape, self.shard))

    def arrays(self, group: Any) -> list[Any]:
        """New arrays `0`, `1` … of the levels."""
        return [self._array(group, level) for level in range(len(self.steps))]

    def files(self, labels: NDArray[Any], box: Box) -> dict[str, NDArray[np.uint8]]:
        """The files of all levels in a box, by their names in the group of the levels."""
        stored: dict[str, Any] = {}
        arrays = self.arrays(self.form.root(MemoryStore(stored)))
        stored.clear()  # of what says how they are stored
        for array, step in zip(arrays, self.steps, strict=True):
            start, stop = (tuple(-(-n // s) for n, s in zip(end, step, strict=True)) for end in (box.start, box.stop))
            array[Box(start, stop).slices] = labels[tuple(slice(None, None, s) for s in step)]
        return {name: np.frombuffer(buffer.to_bytes(), np.uint8) for name, buffer in stored.items()}

    def _array(self, group: Any, level: int) -> Any:
        step = self.steps[level]
        size = tuple(-(-n // s) for n, s in zip(self.shape, step, strict=True))
        whole = tuple(n // s for n, s in zip(self.shard, step, strict=True))
        chunks = tuple(map(min, self.chunk, size, whole))
        file = tuple(-(-min(n, m) // c) * c for n, m, c in zip(whole, size, chunks, strict=True))
        shard = file if file != chunks else ()
        return self.form.array(group, str(level), size, np.dtype(self.dtype), chunks, self.axes.lower(), shard)


def strides(shape: tuple[int, ...], voxel_size: tuple[float, ...]) -> list[tuple[int, ...]]:
    """Stride of each level along each axis; an axis with larger voxels waits until the others have caught up."""
    steps, most = [(1,) * len(shape)], tuple(map(min, shape, SHARD[len(shape)]))
    while any(-(-n // s) > SMALLEST for n, s in zip(shape, steps[-1], strict=True)):
        axes = list(zip(most, voxel_size, steps[-1], strict=True))
        finest = min((v * s for n, v, s in axes if n > s), default=0.0)
        if not finest:
            break
        steps.append(tuple(2 * s if n > s and v * s < 2 * finest else s for n, v, s in axes))
    return steps
