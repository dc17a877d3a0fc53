"""Render objects as label layers piece by piece, so that a large volume is never in memory as a whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.values import runs
from toolkit.values.inside import Inside
from toolkit.values.instances import Instances
from toolkit.values.scattered import Objects, inside, reader
from toolkit.values.tiles import Box

CHUNK = 2**22
"""Voxels that are painted at once."""


class Layers:
    """The label layers of `objects`; equal to `Instances.layers()`."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self.count = int(objects.layer_of.max(initial=0)) + 1
        self.shape, self.dtype = objects.shape, np.dtype(objects.label_dtype)

    def box(self, layer: int, box: Box) -> NDArray[Any]:
        """A layer in `box`."""
        return painted(self.inside(layer, box), self.shape, self.dtype, reader(self._objects))

    def inside(self, layer: int, box: Box) -> Inside:
        """What is to be read to know a layer in `box`."""
        found = inside(self._objects, box)
        if self.count == 1:
            return found
        start, length, owner = found.runs  # objects that overlap are in no sets
        mine = self._objects.layer_of[owner] == layer
        return replace(found, runs=(start[mine], length[mine], owner[mine]))

    def rows(self, layer: int, page: int, low: int, high: int) -> NDArray[Any]:
        """Rows `low:high` of a page of a layer, `(high − low, X)`; pages are counted over all axes but Y and X."""
        at = tuple(int(n) for n in np.unravel_index(page, self.shape[:-2])) if len(self.shape) > 2 else ()
        stop = (*(n + 1 for n in at), high, self.shape[-1])
        return self.box(layer, Box((*at, low, 0), stop)).reshape(high - low, self.shape[-1])


def painted(
    inside: Inside, shape: tuple[int, ...], dtype: np.dtype[Any], read: Callable[[Any], Instances]
) -> NDArray[Any]:
    """Labels in the box of `inside`, of objects without overlap in an image of `shape`."""
    start, length, owner = inside.joined(read)
    place = np.stack(np.unravel_index(start, shape)) - np.array(inside.box.start)[:, None]
    first = np.ravel_multi_index(tuple(place), inside.box.shape).astype(np.int64)
    out = np.zeros(inside.box.size, dtype)
    for part in runs.chunks(length, CHUNK):
        out[runs.voxels(first[part], length[part])] = np.repeat((owner[part] + 1).astype(dtype), length[part])
    return out.reshape(inside.box.shape)
