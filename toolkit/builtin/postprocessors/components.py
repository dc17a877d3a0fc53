"""Connected components of some voxels of an image, each to be divided into objects by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.steps.connected import connected
from toolkit.values import runs
from toolkit.values.instances import Instances
from toolkit.values.tiles import Box
from toolkit.values.voxels import Voxels

Ints = NDArray[np.int64]
STEPS = 255
"""Probabilities are kept as integers 0…255: their sums do not depend on the order of blocks, nor on the device."""


def components(voxels: Voxels, at_least: int = 1) -> Iterator[Component]:
    """The connected components of `at_least` voxels, in order of their first voxel."""
    number = connected(voxels.start, voxels.length, voxels.shape)
    order = np.argsort(number, kind="stable")
    ends = np.searchsorted(number[order], np.arange(int(number.max(initial=-1)) + 2))
    for low, high in pairwise(ends.tolist()):
        run = order[low:high]
        if int(voxels.length[run].sum()) >= at_least:
            yield Component(voxels, run)


@dataclass(frozen=True, eq=False)
class Component:
    """A connected component: the runs `run` of `whole`."""

    whole: Voxels
    run: Ints

    @cached_property
    def index(self) -> Ints:
        """Positions of its voxels in the values of the whole."""
        return runs.voxels(self.whole.offsets[:-1][self.run], self.whole.length[self.run])

    @cached_property
    def where(self) -> tuple[Ints, ...]:
        """Coordinates of its voxels in the image."""
        return np.unravel_index(runs.voxels(self.whole.start[self.run], self.whole.length[self.run]), self.whole.shape)

    @cached_property
    def box(self) -> Box:
        """Its bounding box, grown by one voxel inside the image."""
        low, high = (tuple(int(f(w)) for w in self.where) for f in (np.min, np.max))
        return Box(low, tuple(v + 1 for v in high)).grow((1,) * len(low), self.whole.shape)

    @cached_property
    def inside(self) -> tuple[Ints, ...]:
        """Coordinates of its voxels in its box."""
        return tuple(w - a for w, a in zip(self.where, self.box.start, strict=True))

    @cached_property
    def mask(self) -> NDArray[np.bool_]:
        """True at its voxels, in its box."""
        mask = np.zeros(self.box.shape, bool)
        mask[self.inside] = True
        return mask

    def values(self, name: str) -> NDArray[np.uint8]:
        """`(C, *box.shape)`, 0 outside of the component."""
        source = self.whole[name]
        dense = np.zeros((source.shape[1], *self.box.shape), np.uint8)
        dense[:, self.mask] = source[self.index].T
        return dense


def divide(
    voxels: Voxels, labels_of: Callable[[Component], NDArray[Any]], min_size: int, scored_by: str = "foreground"
) -> Instances:
    """Instances from a division of each connected component: `labels_of(component)` is a label image of its box.

    Components and objects of fewer than `min_size` voxels are dropped.
    """
    label = np.zeros(len(voxels), np.int64)
    used = 0
    for component in components(voxels, min_size):
        _, own = np.unique(labels_of(component)[component.inside], return_inverse=True)
        label[component.index] = own + used + 1
        used += int(own.max()) + 1
    return labelled(voxels, label, min_size, scored_by)


def labelled(voxels: Voxels, label: Ints, min_size: int, scored_by: str) -> Instances:
    """Objects of equal positive `label` `(P,)`, scored by the mean of the first channel of `scored_by`."""
    size = np.bincount(label, minlength=1)
    total = np.bincount(label, weights=voxels[scored_by][:, 0], minlength=1)
    kept = (size >= min_size) & (np.arange(len(size)) > 0)
    scores = total / (STEPS * np.maximum(size, 1))
    return voxels.labelled(np.where(kept[label], label, -1), scores)
