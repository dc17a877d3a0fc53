"""What a loss or a metric is compared with."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.values.instances import Instances
from toolkit.values.tiles import Box

UNANNOTATED = -1


@dataclass(frozen=True, eq=False)
class Truth:
    """Annotated objects of an image or of a crop of it.

    `layers` `(L, *shape)` int32: label images; ids ≥ 1 are unique over layers, 0 is background, −1 is unannotated (not
    in an annotated object, otherwise unknown). `void` `shape` bool: unknown, excluded everywhere. `voxel_size` is in
    micrometres. `ids` and `centres` `(N, D)`: centre of mass of each *whole* object in voxels of this crop, so a centre
    may lie outside it.
    """

    layers: NDArray[np.int32]
    void: NDArray[np.bool_] | None
    voxel_size: tuple[float, ...]
    ids: NDArray[np.int32]
    centres: NDArray[np.float64]

    @classmethod
    def from_layers(
        cls, layers: NDArray[Any], void: NDArray[Any] | None = None, voxel_size: tuple[float, ...] = ()
    ) -> Truth:
        """Truth of a whole image; a single label image may be given without the layer axis as `labels[None]`."""
        layers = np.ascontiguousarray(layers, np.int32)
        ids, centres = _centres(layers)
        void = None if void is None or not np.any(void) else np.ascontiguousarray(void, bool)
        return cls(layers, void, voxel_size or (1.0,) * (layers.ndim - 1), ids, centres)

    @classmethod
    def from_instances(cls, instances: Instances, **about: Any) -> Truth:
        """Truth that holds exactly these objects."""
        return cls.from_layers(instances.layers().astype(np.int32), **about)

    @classmethod
    def from_planes(cls, planes: NDArray[Any], **about: Any) -> Truth:
        """Truth from one plane per object, `(Q, *shape)`, nonzero = inside."""
        return cls.from_instances(Instances.from_planes(planes), **about)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.layers.shape[1:]

    @property
    def ndim(self) -> int:
        return self.layers.ndim - 1

    @cached_property
    def instances(self) -> Instances:
        """The annotated objects."""
        return Instances.from_layers(self.layers)

    @property
    def covered(self) -> NDArray[np.uint16]:
        """In how many annotated objects each voxel lies."""
        return np.asarray((self.layers > 0).sum(0, dtype=np.uint16))

    @property
    def unannotated(self) -> NDArray[np.bool_]:
        """Voxels in no annotated object whose annotation is missing."""
        return np.asarray((self.layers == UNANNOTATED).any(0) & (self.covered == 0))

    @property
    def known(self) -> NDArray[np.bool_]:
        """Voxels whose class, object or background, is known."""
        known = ~self.unannotated
        return known if self.void is None else known & ~self.void

    def crop(self, box: Box) -> Truth:
        """The part inside `box`; what lies beyond the image is void. Centres stay those of the whole objects."""
        inner = box & Box.whole(self.shape)
        layers = np.zeros((len(self.layers), *box.shape), np.int32)
        into = (slice(None), *inner.relative_to(box).slices)
        layers[into] = self.layers[(slice(None), *inner.slices)]
        void: NDArray[np.bool_] | None = None
        if self.void is not None or inner != box:
            void = np.ones(box.shape, bool)
            void[into[1:]] = False if self.void is None else self.void[inner.slices]
        return replace(self, layers=layers, void=void, centres=self.centres - np.array(box.start, float))


def _centres(layers: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    objects = np.nonzero(layers > 0)
    ids, index, count = np.unique(layers[objects], return_inverse=True, return_counts=True)
    sums = [np.bincount(index, weights=axis, minlength=len(ids)) for axis in objects[1:]]
    return ids.astype(np.int32), np.stack(sums, axis=1) / np.maximum(count, 1)[:, None]
