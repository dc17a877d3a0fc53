"""Objects as tiles of ids: found among their runs when they are asked for, in any plane and at any coarseness."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from toolkit.values.instances import Instances
from toolkit.view.pyramid import ACROSS, Cut, deep

Ints = NDArray[np.int64]
LAYERS = 12
"""Layers that are shown at most; what lies deeper is in the table alone."""


class Painted:
    """The label layers of `instances` `(A, Y, X)`, of which voxels are looked up."""

    def __init__(self, instances: Instances) -> None:
        self.instances, self.shape = instances, deep(instances.shape)

    @cached_property
    def _runs(self) -> list[tuple[Ints, Ints, NDArray[np.uint32]]]:
        """Of each layer the runs, which share no voxel, in raster order: first voxel, one past the last, id."""
        of = self.instances
        layer = of.layer_of[of.owner]
        found = []
        for number in range(min(LAYERS, int(layer.max(initial=0)) + 1)):
            mine = np.flatnonzero(layer == number)
            mine = mine[np.argsort(of.start[mine], kind="stable")]
            start = of.start[mine]
            found.append((start, start + of.length[mine], (of.owner[mine] + 1).astype(np.uint32)))
        return found

    @property
    def layers(self) -> int:
        return len(self._runs)

    def read(self, cut: Cut) -> NDArray[np.uint32]:
        """Ids `(layers, rows, columns)` of a rectangle, the first voxel of those that a pixel stands for; 0 where there
        is no object and beyond the image."""
        where = np.zeros((3, *cut.shape), np.int64)
        where[cut.axis] = cut.at
        inside = np.ones(cut.shape, bool)
        for dim, axis in enumerate(ACROSS[cut.axis]):
            along = (cut.start[dim] + np.arange(cut.shape[dim])) * cut.steps[dim]
            there = along[:, None] if dim == 0 else along[None]
            inside &= (there >= 0) & (there < self.shape[axis])
            where[axis] = there
        index = np.ravel_multi_index(tuple(where[:, inside]), self.shape)
        out = np.zeros((self.layers, *cut.shape), np.uint32)
        for layer, (start, stop, ids) in enumerate(self._runs):
            if len(start):
                run = np.searchsorted(start, index, "right") - 1
                out[layer][inside] = np.where((run >= 0) & (index < stop[run]), ids[run], 0)
        return out
