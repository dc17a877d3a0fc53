"""What images and the objects in them are like: the facts from which a method and fields of its recipe follow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from toolkit.steps.channels import look
from toolkit.steps.choice import stained
from toolkit.steps.objects import Objects, describe
from toolkit.values.image import Image
from toolkit.values.truth import Truth

OVERLAPPING = 0.01
"""Share of objects that share voxels from which on it matters."""
BENT = 0.8
"""Objects that fill less of their ellipses are no blobs."""
FREE = 0.05
"""Share of touching objects that may be passed over."""


class Because(NamedTuple):
    """A value that follows from a survey, and why, in a few words."""

    value: Any
    reason: str


Deduced = Mapping[str, Because]
"""Fields of a spec that follow from a survey."""


@dataclass(frozen=True)
class Fit:
    """How well a method suits what was surveyed: `score` from 0, not at all, to 1, it is made for this; and why."""

    score: float
    reason: str

    def __post_init__(self) -> None:
        if not 0 <= self.score <= 1:
            raise ValueError(f"the score of a fit lies between 0 and 1, not at {self.score}")


@dataclass(frozen=True, eq=False)
class Seen:
    """One image. `channels` is 0 where only its annotation was seen, and `objects` None where only the image was;
    `inside` of the `known` voxels lie in objects, `unknown` voxels are not annotated."""

    shape: tuple[int, ...]
    voxel_size: tuple[float, ...]
    calibrated: bool = False
    channels: int = 0
    stained: bool = False
    objects: Objects | None = None
    inside: int = 0
    known: int = 0
    unknown: int = 0

    @classmethod
    def of(cls, image: Image) -> Seen:
        """An image without annotation; a sample of it is read if it has three channels."""
        tissue = image.channels == 3 and stained(look(image))
        return cls(image.shape, image.voxel_size, image.calibrated, image.channels, tissue)

    @classmethod
    def annotated(cls, truth: Truth) -> Seen:
        """An annotation without its image."""
        known, inside = truth.known, truth.covered > 0
        return cls(
            truth.shape,
            truth.voxel_size,
            objects=describe(truth.layers, False),
            inside=int(np.count_nonzero(inside & known)),
            known=int(np.count_nonzero(known)),
            unknown=int(np.count_nonzero(truth.unannotated)),
        )


@dataclass(frozen=True, eq=False)
class Survey:
    """The images of a data set, or one, and all annotated objects in them, in voxels, `(Z)YX`.

    `shapes` `(images, D)`; `voxel_size` `(D,)` in micrometres, their median, 1 where it is not `calibrated`;
    `channels`: the numbers of channels that occur, none if only annotations were seen; `stained`: all are tissue
    through which light comes in colours. Of the objects: `sizes` `(N,)` in voxels, `extents` `(N, D)` of the bounding
    boxes, `widths` `(N,)` and `fills` `(N,)` as in `Objects`; `share` of the known voxels that lie in objects;
    `touching` and `overlapping`, shares of objects that have another one at a face, or share voxels with one;
    `unknown`: share of voxels that are not annotated.
    """

    shapes: NDArray[np.int64]
    voxel_size: tuple[float, ...]
    calibrated: bool
    channels: tuple[int, ...]
    stained: bool
    sizes: NDArray[np.int64]
    extents: NDArray[np.int64]
    widths: NDArray[np.float64]
    fills: NDArray[np.float64]
    share: float
    touching: float
    overlapping: float
    unknown: float

    @classmethod
    def of(cls, images: Iterable[Truth | Image | Seen]) -> Survey:
        """The survey of these images, at least one, all of as many axes."""
        seen = [_seen(image) for image in images]
        objects = [s.objects for s in seen if s.objects is not None]
        count, voxels = sum(map(len, objects)), sum(int(np.prod(s.shape)) for s in seen)
        dimension = len(seen[0].shape)

        def all_of(name: str, empty: NDArray[Any]) -> NDArray[Any]:
            return np.concatenate([empty, *(getattr(o, name) for o in objects if len(o))])

        return cls(
            shapes=np.array([s.shape for s in seen], np.int64),
            voxel_size=tuple(float(v) for v in np.median([s.voxel_size for s in seen], axis=0)),
            calibrated=all(s.calibrated for s in seen),
            channels=tuple(sorted({s.channels for s in seen} - {0})),
            stained=all(s.stained for s in seen),
            sizes=all_of("sizes", np.zeros(0, np.int64)),
            extents=all_of("extents", np.zeros((0, dimension), np.int64)),
            widths=all_of("width", np.zeros(0)),
            fills=all_of("fill", np.zeros(0)),
            share=sum(s.inside for s in seen) / max(1, sum(s.known for s in seen)),
            touching=sum(o.touching * len(o) for o in objects) / max(1, count),
            overlapping=sum(o.overlapping for o in objects) / max(1, count),
            unknown=sum(s.unknown for s in seen) / max(1, voxels),
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
    def points(self) -> bool:
        """Whether every object is one voxel."""
        return self.objects > 0 and bool((self.sizes == 1).all())

    @property
    def bent(self) -> bool:
        """Whether objects are bent or branched: the median one fills too little of its ellipse."""
        return self.objects > 0 and float(np.median(self.fills)) < BENT

    @property
    def shape(self) -> str:
        """A clause about the shape of the objects."""
        what = "bent or branched" if self.bent else "compact"
        return f"the objects are {what} (they fill {np.median(self.fills):.2f} of their ellipses)"

    @property
    def overlap(self) -> bool:
        """Whether so many objects share voxels that a method must be able to say so."""
        return self.overlapping > OVERLAPPING

    @property
    def crowded(self) -> bool:
        """Whether so many objects touch that a method must tell them apart."""
        return self.touching > FREE

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


def _seen(image: Truth | Image | Seen) -> Seen:
    if isinstance(image, Truth):
        return Seen.annotated(image)
    return Seen.of(image) if isinstance(image, Image) else image
