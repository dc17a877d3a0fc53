"""What the objects of a data set are like: the facts from which fields of a recipe follow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from toolkit.values.truth import Truth


class Because(NamedTuple):
    """A value that follows from a survey, and why, in a few words."""

    value: Any
    reason: str


Deduced = Mapping[str, Because]
"""Fields of a spec that follow from a survey."""


@dataclass(frozen=True, eq=False)
class Survey:
    """All annotated objects of a data set, in voxels as the network sees them, `(Z)YX`.

    `shapes` `(images, D)` of the images; `voxel_size` `(D,)` in micrometres, their median; `sizes` `(N,)` voxels of
    each object; `extents` `(N, D)` of its bounding box; `share` of the known voxels that lie in objects.
    """

    shapes: NDArray[np.int64]
    voxel_size: tuple[float, ...]
    sizes: NDArray[np.int64]
    extents: NDArray[np.int64]
    share: float

    @classmethod
    def of(cls, truths: Iterable[Truth]) -> Survey:
        """The survey of these images, at least one."""
        shapes, voxels, sizes, extents, inside, known = [], [], [], [], 0, 0
        for truth in truths:
            objects = truth.instances
            boxes = objects.boxes
            shapes.append(truth.shape)
            voxels.append(truth.voxel_size)
            sizes.append(objects.sizes)
            extents.append(boxes[:, 1] - boxes[:, 0])
            inside += int(np.count_nonzero((truth.covered > 0) & truth.known))
            known += int(np.count_nonzero(truth.known))
        return cls(
            np.array(shapes, np.int64),
            tuple(float(v) for v in np.median(voxels, axis=0)),
            np.concatenate(sizes),
            np.concatenate(extents),
            inside / max(1, known),
        )

    @property
    def images(self) -> int:
        return len(self.shapes)

    @property
    def ndim(self) -> int:
        return int(self.shapes.shape[1])

    @property
    def objects(self) -> int:
        return len(self.sizes)

    @property
    def anisotropy(self) -> tuple[float, ...]:
        """Voxel size relative to that of the last axis; empty where all are equal."""
        if max(self.voxel_size) == min(self.voxel_size):
            return ()
        return tuple(round(v / self.voxel_size[-1], 4) for v in self.voxel_size)

    @property
    def spans(self) -> NDArray[np.float64]:
        """Largest extent of each object, in voxels of the last axis."""
        ratio = np.array(self.voxel_size) / self.voxel_size[-1]
        return np.asarray((self.extents * ratio).max(axis=1, initial=0))
