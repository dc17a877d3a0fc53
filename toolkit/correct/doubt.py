"""How far two ideas of the objects of one image differ, as a number and voxel by voxel; and an image turned."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.steps.matching import overlap
from toolkit.steps.turns import Turn
from toolkit.values import runs
from toolkit.values.image import Image
from toolkit.values.instances import Instances
from toolkit.values.tiles import Box

NOTHING = 0.5
"""The doubt about an image in which neither finds anything: that they agree says nothing then."""
SURE = 50
"""Percent of IoU from which on two objects are one."""
SIDE, DEPTH = 256, 32
"""Voxels of a region along Y and X, and along Z."""


def doubt(one: Instances, other: Instances) -> float:
    """How far two sets of objects of one image differ: 1 − 2 ΣIoU / (N + M) of their best matching, in [0, 1]."""
    if not len(one) and not len(other):
        return NOTHING
    edges = overlap(one, other)
    return 1 - 2 * float(edges.iou[edges.best_pairs()].sum()) / (len(one) + len(other))


def disputed(one: Instances, other: Instances) -> NDArray[np.bool_]:
    """Voxels of objects that only one of the two knows, and those by which objects that both know differ."""
    match = overlap(one, other).match(SURE)
    mask = np.zeros(one.shape, bool)
    for objects, known in ((one, match.truth), (other, match.predicted)):
        mask |= _covered(objects.select(np.setdiff1d(np.arange(len(objects)), known)))
    for i, j in zip(match.truth.tolist(), match.predicted.tolist(), strict=True):
        a, b = one.voxels(i), other.voxels(j)
        mask.reshape(-1)[np.setxor1d(a, b, assume_unique=True)] = True
    return mask


def regions(mask: NDArray[Any]) -> list[tuple[Box, float]]:
    """Parts of an image in which voxels are disputed, the most of them first, with the share of such voxels; `mask` may
    be a mean of several.

    Empty for an image that is no larger than one part.
    """
    sides = (SIDE, SIDE) if mask.ndim == 2 else (*(1,) * (mask.ndim - 3), DEPTH, SIDE, SIDE)
    found = [(box, float(mask[box.slices].mean())) for box in _boxes(mask.shape, sides)]
    some = [(box, share) for box, share in found if share > 0]
    return [] if len(found) == 1 else sorted(some, key=lambda entry: (-entry[1] * entry[0].size, entry[0]))


def _boxes(shape: Sequence[int], sides: Sequence[int]) -> Iterator[Box]:
    """Boxes of about these sides, alike along each axis, that fill an image."""
    counts = [-(-n // s) for n, s in zip(shape, sides, strict=True)]
    for place in np.ndindex(*counts):
        edges = [(k * n // c, (k + 1) * n // c) for k, n, c in zip(place, shape, counts, strict=True)]
        yield Box(tuple(a for a, _ in edges), tuple(b for _, b in edges))


def quarter_turns(ndim: int) -> tuple[Turn, ...]:
    """The seven turns of the last two axes but the identity; the first ones differ most from each other."""
    first, last = tuple(range(ndim - 2)), (False,) * (ndim - 2)
    y, x = ndim - 2, ndim - 1
    swapped, straight = (*first, x, y), (*first, y, x)
    order = [(swapped, (False, True)), (straight, (True, True)), (swapped, (True, False)), (straight, (False, True)),
             (swapped, (False, False)), (straight, (True, False)), (swapped, (True, True))]  # fmt: skip
    return tuple(Turn(axes, (*last, *mirrored)) for axes, mirrored in order)


def turned(image: Image, turn: Turn) -> Image:
    """The image as it looks turned; all of it is read."""
    voxels = np.transpose(image.read(), (0, *(1 + axis for axis in turn.order)))
    voxels = np.flip(voxels, tuple(1 + axis for axis, mirrored in enumerate(turn.mirrored) if mirrored))
    size = tuple(image.voxel_size[axis] for axis in turn.order)
    return replace(image, source=np.ascontiguousarray(voxels), voxel_size=size, series=None)


def turned_back(objects: Instances, turn: Turn, shape: Sequence[int]) -> Instances:
    """Objects of a turned image in the image of `shape`."""
    index = runs.voxels(objects.start, objects.length.astype(np.int64))
    owner = np.repeat(objects.owner, objects.length)
    there = np.unravel_index(index, objects.shape)
    back: list[NDArray[np.int64]] = [index] * len(shape)
    for axis, (of, mirrored) in enumerate(zip(turn.order, turn.mirrored, strict=True)):
        back[of] = objects.shape[axis] - 1 - there[axis] if mirrored else there[axis]
    start = np.ravel_multi_index(tuple(back), tuple(shape)).astype(np.int64)
    return Instances.from_runs(shape, start, np.ones_like(start), owner, objects.scores)


def _covered(objects: Instances) -> NDArray[np.bool_]:
    mask = np.zeros(objects.shape, bool)
    mask.reshape(-1)[runs.voxels(objects.start, objects.length.astype(np.int64))] = True
    return mask
