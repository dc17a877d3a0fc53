"""A look at a sample of an image: how large objects are at some scale, and how surely they are found there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import copysign

import numpy as np
from numpy.typing import NDArray

from toolkit.pipeline.passes import alone
from toolkit.pipeline.prepared import Prepared
from toolkit.pipeline.session import Session
from toolkit.steps.rescale import rescale
from toolkit.steps.sizes import Sizes, diameters
from toolkit.values import runs
from toolkit.values.image import Image
from toolkit.values.instances import Instances
from toolkit.values.piece import Piece, joined
from toolkit.values.tiles import Box, Lattice

PLACES = (0.25, 0.75)
"""Windows of the first look lie around these parts of the extent of an image."""
FEW = 3
"""Fewer whole objects say nothing about their size."""
MANY = 8
"""So many whole objects of the right size make further looks needless."""


@dataclass(frozen=True)
class Seen:
    """What one look `by` a factor saw: diameters `(N,)` of whole objects in voxels of the image, the share of what was
    looked at that lies in objects, that share weighed by their scores, and how many whole objects stand apart."""

    by: float
    diameters: NDArray[np.float64]
    covered: float
    surely: float
    apart: int = 0

    @property
    def median(self) -> float:
        return float(np.median(self.diameters))

    @property
    def tells(self) -> bool:
        """Whether it saw enough to say how large objects are."""
        return len(self.diameters) >= FEW

    @property
    def clear(self) -> bool:
        """Whether most objects stand apart, so that they are no shards of larger ones."""
        return 2 * self.apart >= len(self.diameters)

    def sound(self, learnt: Sizes) -> bool:
        """Whether it saw many objects of sizes that were learnt."""
        return len(self.diameters) >= MANY and learnt.low <= self.median * self.by <= learnt.high


def own_look(session: Session, here: Prepared, regions: Sequence[Box]) -> Seen:
    """What those windows of an image show that were predicted ahead."""
    postprocess, backend = session.model.recipe.postprocess, session.backend
    whole = [(joined(parts, box, box, backend.xp), box) for box, parts in rows(here).items()]
    shown = [(alone(postprocess, piece, backend), box) for piece, box in whole]
    return _seen(here.by[0] if here.by else 1.0, shown, regions)


def rows(here: Prepared) -> dict[Box, list[Piece]]:
    """The pieces that an image has, those that are neighbours along its last axis together, by the box of them."""
    found: dict[Box, list[Piece]] = {}
    for piece in sorted(here.kept.values(), key=lambda piece: piece.core):
        box, parts = piece.core, [piece]
        for before in [b for b in found if (*b.start[:-1], b.stop[-1]) == box.start]:
            box, parts = Box(before.start, box.stop), [*found.pop(before), piece]
        found[box] = parts
    return found


def look(
    session: Session, here: Prepared, by: float, regions: Sequence[Box], close: bool = False
) -> tuple[Seen, Prepared]:
    """What is found around some regions of an image, seen `by` so many voxels per voxel, and the image so: in a window
    of each, or `close` to it."""
    there, postprocess = at(here, (by,) * here.image.ndim), session.model.recipe.postprocess
    image, window, overlap = there.image, session.model.recipe.tiling.window, session.lattice(here).overlap
    if all(n <= w for n, w in zip(image.shape, window, strict=True)):
        there = session.ahead(there, [0])
        return own_look(session, there, regions), there

    def size(region: Box) -> Sequence[int]:
        near = [round((n + o) * by) for n, o in zip(region.shape, overlap, strict=True)]
        return [min(n, w) for n, w in zip(near, window, strict=True)] if close else window

    shown = []
    for box in dict.fromkeys(_box(_middle(region, by), size(region), image.shape) for region in regions):
        crop = Image(image.read(box), image.axes, image.voxel_size, image.name, image.calibrated)
        found = session.found(session.pieces(Prepared(crop, here.scale, crop.shape)), postprocess)
        shown.append((found.place(box, image.shape), box))
    return _seen(by, shown, regions), there


def _seen(by: float, shown: Sequence[tuple[Instances, Box]], regions: Sequence[Box]) -> Seen:
    """`shown`: objects of an image that is seen `by` so many voxels per voxel, and in which box of it."""
    sizes, covered, surely, looked, apart = [np.zeros(0)], 0.0, 0.0, 0, 0
    for found, box in shown:
        first, last = found.boxes[:, 0], found.boxes[:, 1]
        whole = ((first > box.start) & (last < box.stop)).all(1)
        meet = meeting(first, last)
        sizes.append(diameters(found.sizes[whole], box.ndim) / by)
        apart += int((whole & ~meet).sum())
        for region in regions:
            part = box & _scaled(region, by)
            _, length, owner = found.moved(Box.whole(found.shape), found.shape, part)
            looked += part.size
            covered += float(length.sum())
            surely += float((length * found.scores[owner]).sum())
    return Seen(by, np.concatenate(sizes), covered / looked, surely / looked, apart)


def meeting(first: NDArray[np.int64], last: NDArray[np.int64]) -> NDArray[np.bool_]:
    """`(N,)` which of some boxes, from `first` up to `last` `(N, D)`, meet another."""
    meet = np.zeros(len(first), bool)
    length = last[:, 0] - first[:, 0] + 1
    for i, j, _ in runs.overlaps(first[:, 0], length, first[:, 0], length):
        both = (i != j) & ((first[i] <= last[j]) & (first[j] <= last[i])).all(1)
        meet[i[both]] = True
    return meet


def points(shape: Sequence[int], lattice: Lattice) -> list[list[list[float]]]:
    """Where the first look goes, and where it goes on: to the neighbours on the side of the middle."""
    step = lattice.window[-1] - lattice.overlap[-1]
    parts = [[0.5] * (len(shape) - 2) + [part] * 2 for part in PLACES]
    first = [[p * n for p, n in zip(part, shape, strict=True)] for part in parts]
    return [
        first,
        [[*point[:-1], point[-1] + copysign(step, 0.5 - part)] for point, part in zip(first, PLACES, strict=True)],
    ]


def around(session: Session, here: Prepared, points: Sequence[Sequence[float]]) -> Prepared:
    """The image with the pieces of the windows that answer for some points."""
    lattice, ones = session.lattice(here), [_box(point, (1,) * len(point), here.image.shape) for point in points]
    return session.ahead(here, sorted({number for one in ones for number in lattice.numbers(one)}))


def at(here: Prepared, by: tuple[float, ...]) -> Prepared:
    """An image as it was read, rescaled."""
    return replace(here, image=rescale(here.image, by), by=by, kept={}, noted={}) if by else here


def _scaled(region: Box, by: float) -> Box:
    start = tuple(round(n * by) for n in region.start)
    return Box(start, tuple(max(a + 1, round(n * by)) for a, n in zip(start, region.stop, strict=True)))


def _middle(region: Box, by: float) -> list[float]:
    return [by * (a + b) / 2 for a, b in zip(region.start, region.stop, strict=True)]


def _box(middle: Sequence[float], window: Sequence[int], shape: Sequence[int]) -> Box:
    """As much of a window around a point as an image of `shape` holds; all of an axis that is no longer."""
    size = [min(n, w) for n, w in zip(shape, window, strict=True)]
    start = [min(max(0, round(m - s / 2)), n - s) for m, n, s in zip(middle, shape, size, strict=True)]
    return Box(tuple(start), tuple(a + s for a, s in zip(start, size, strict=True)))
