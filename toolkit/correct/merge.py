"""What an edit says of an image: which objects are new, gone or changed, and which voxels are known by it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from toolkit.correct.edited import ID, Edited, Pieces, whole
from toolkit.correct.marks import WHOLE, Mark
from toolkit.errors import InputError
from toolkit.steps.matching import overlap
from toolkit.steps.within import box, spans, within
from toolkit.values import runs
from toolkit.values.instances import Instances
from toolkit.values.sound import sound
from toolkit.values.tiles import Box
from toolkit.values.truth import UNANNOTATED, Truth

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
SAME = 20
"""Percent of IoU from which on an edited object is a former one that was changed."""
RING = 2
"""Voxels around a drawn object that are background where no other object is: a person draws where it ends."""


@dataclass(frozen=True, eq=False)
class Corrected:
    """What is known of an image. `objects` is all that the edit shows, `right` `(N,)` which of them a person drew or
    confirmed; `background` holds, as one object, the voxels that are known to be in none."""

    objects: Instances
    right: Bools
    background: Instances

    @property
    def sound(self) -> bool:
        """Whether it can be what somebody knows: the arrays fit each other."""
        objects, background = self.objects, self.background
        fits = self.right.shape == (len(objects),) and self.right.dtype == bool
        return fits and objects.shape == background.shape and sound(objects) and sound(background)

    def truth(self, voxel_size: tuple[float, ...] = ()) -> Truth:
        """The objects that are right; what is neither in them nor known as background is unannotated."""
        layers = self.objects.select(self.right).layers().astype(np.int32)
        unknown = ~(layers > 0).any(0) & ~_mask(self.background)
        layers[0][unknown] = UNANNOTATED
        return Truth.from_layers(layers, voxel_size=voxel_size)

    def frame(self, number: int) -> Corrected:
        """The same of one image of a series."""
        from toolkit.values.frames import frame

        there = Instances(**{**vars(_bare(self.objects)), "attributes": {"right": self.right}})
        part = frame(there, number)
        return Corrected(_bare(part), part.attributes["right"].astype(bool), frame(self.background, number))


@dataclass(frozen=True)
class Changes:
    """Objects that are new, gone, changed and as they were; `right`: how many of those that are there are right;
    `unannotated`: how many lay where the edit says that it does not know."""

    added: int
    removed: int
    changed: int
    same: int
    right: int
    whole: bool = False
    unannotated: int = 0

    @property
    def any(self) -> bool:
        return bool(self.added or self.removed or self.changed)


def merge(
    base: Instances, edited: Edited | None, marks: Sequence[Mark], pieces: Pieces, name: str, series: bool = False
) -> tuple[Corrected, Changes]:
    """The objects `base` of an image as a person edited and marked them; without an edit, as they were. Where the edit
    says that it does not know, nothing is compared.

    `series`: the first axis is time. Raises `InputError` for drawn objects in several pieces, for an id that is marked
    and not there, and for a box that does not lie in the image.
    """
    if edited is None:
        edited = Edited(Instances(**{**vars(_bare(base)), "attributes": {ID: np.arange(1, len(base) + 1)}}), None)
    found = len(base)
    if edited.unknown is not None:  # what nobody knows any more was neither removed nor drawn
        base, _ = within(base, None, ~edited.unknown)
    drawn, _ = _compared(base, edited.objects)
    objects = whole(edited.objects, drawn, pieces, name)
    drawn, said = _compared(base, objects)
    right = np.zeros(len(objects), bool)
    right[drawn] = True
    for mark in marks:
        right |= _named(mark, objects, name)
    known = _mask(base.select(said))
    for index in drawn.tolist():
        known |= _around(objects, index, series)
    every = any(mark.what == WHOLE for mark in marks)
    region = np.full(objects.shape, every)
    for mark in marks:
        if mark.box:
            region[_part(mark.box, objects.shape, name).slices] = True
    right |= 2 * _inside(objects, region) >= objects.sizes
    known |= region
    if edited.unknown is not None:
        known &= ~edited.unknown
    known &= ~_mask(objects)
    start, length, _ = runs.of_labels(known.view(np.uint8))
    background = Instances.from_runs(known.shape, start, length, np.zeros(len(start), np.int64))
    match = overlap(base, objects).match(SAME)
    changed = int((match.iou < 1).sum())
    changes = Changes(
        added=len(objects) - match.tp,
        removed=len(base) - match.tp,
        changed=changed,
        same=match.tp - changed,
        right=int(right.sum()),
        whole=every,
        unannotated=found - len(base),
    )
    return Corrected(_bare(objects), right, background), changes


def _compared(base: Instances, edited: Instances) -> tuple[Ints, Ints]:
    """Indices of edited objects that are not as one of the former, and of former ones that are not there any more."""
    edges = overlap(base, edited)
    equal = edges.iou == 1
    drawn = np.setdiff1d(np.arange(len(edited)), edges.predicted[equal])
    return drawn, np.setdiff1d(np.arange(len(base)), edges.truth[equal])


def _named(mark: Mark, objects: Instances, name: str) -> Bools:
    ids = objects.attributes[ID]
    for one in mark.ids:
        if one not in ids:
            raise InputError(f"an object is marked as right that is not there, id {one}", name, "correct right.csv")
    return np.isin(ids, mark.ids)


def _part(text: str, shape: Sequence[int], name: str) -> Box:
    """The box that is marked: one that leaves the image was meant for another, or has its axes in another order."""
    there = box(text, shape, name, "right")
    if any(last is not None and last > n for (_, last), n in zip(spans(text), shape, strict=True)):
        raise InputError("the box reaches beyond the image", f"{name}, {list(shape)} voxels, right {text}",
                         "name first:last along (Z,)Y,X inside it, or no last for all the rest")  # fmt: skip
    return there


def _inside(objects: Instances, region: Bools) -> Ints:
    """Voxels of each object in a region."""
    if not region.any():
        return np.full(len(objects), -1)
    flat, count = region.reshape(-1), np.zeros(len(objects), np.int64)
    for some in runs.chunks(objects.length.astype(np.int64), 2**24):
        length = objects.length[some].astype(np.int64)
        inside = flat[runs.voxels(objects.start[some], length)]
        count += np.bincount(np.repeat(objects.owner[some], length)[inside], minlength=len(objects))
    return count


def _around(objects: Instances, index: int, series: bool) -> Bools:
    """The voxels of an object and a few around it."""
    from scipy.ndimage import binary_dilation, generate_binary_structure, iterate_structure

    space = len(objects.shape) - series
    ball = iterate_structure(generate_binary_structure(space, 1), RING)
    ball = ball[None] if series else ball
    where, mask = objects.mask(index)
    by = (RING,) * len(objects.shape)
    grown = where.grow(by)
    inner = grown & type(grown).whole(objects.shape)
    wide = binary_dilation(np.pad(mask, RING), ball)
    found = np.zeros(objects.shape, bool)
    found[inner.slices] = wide[inner.relative_to(grown).slices]
    return found


def _mask(objects: Instances) -> Bools:
    """Voxels in any object."""
    mask = np.zeros(objects.shape, bool)
    mask.reshape(-1)[runs.voxels(objects.start, objects.length.astype(np.int64))] = True
    return mask


def _bare(objects: Instances) -> Instances:
    """Without what a method said of them."""
    parts = (objects.shape, objects.start, objects.length, objects.offsets, np.ones(len(objects), np.float32))
    return Instances(*parts)
