"""Render objects as label layers piece by piece, so that a large volume is never in memory as a whole."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.values import runs
from toolkit.values.scattered import Objects
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
        start, length, owner = self._objects.within(box)
        if self.count > 1:
            mine = self._objects.layer_of[owner] == layer
            start, length, owner = start[mine], length[mine], owner[mine]
        place = np.stack(np.unravel_index(start, self.shape)) - np.array(box.start)[:, None]
        first = np.ravel_multi_index(tuple(place), box.shape).astype(np.int64)
        out = np.zeros(box.size, self.dtype)
        for part in runs.chunks(length, CHUNK):
            out[runs.voxels(first[part], length[part])] = np.repeat((owner[part] + 1).astype(self.dtype), length[part])
        return out.reshape(box.shape)

    def rows(self, layer: int, page: int, low: int, high: int) -> NDArray[Any]:
        """Rows `low:high` of a page of a layer, `(high − low, X)`; pages are counted over all axes but Y and X."""
        at = tuple(int(n) for n in np.unravel_index(page, self.shape[:-2])) if len(self.shape) > 2 else ()
        stop = (*(n + 1 for n in at), high, self.shape[-1])
        return self.box(layer, Box((*at, low, 0), stop)).reshape(high - low, self.shape[-1])
