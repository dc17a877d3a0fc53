"""Render objects as label layers piece by piece, so that a large volume is never in memory as a whole."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.values import runs
from toolkit.values.instances import Instances


class Layers:
    """The label layers of `instances` as rows of X voxels; equal to `instances.layers()`."""

    def __init__(self, instances: Instances) -> None:
        layer = instances.layer_of[instances.owner]
        order = np.lexsort((instances.start, layer))
        self._start, self._label = instances.start[order], instances.owner[order] + 1
        self._length = instances.length[order].astype(np.int64)
        self.count = int(layer.max(initial=0)) + 1
        self._first = np.searchsorted(layer[order], np.arange(self.count + 1))
        self.shape, self.dtype = instances.shape, np.dtype(instances.label_dtype)

    @property
    def height(self) -> int:
        """Rows of a whole layer, over all axes but X."""
        return prod(self.shape[:-1])

    def rows(self, layer: int, low: int, high: int) -> NDArray[Any]:
        """Rows `low:high` of a layer, `(high − low, X)`."""
        width = self.shape[-1]
        span = slice(self._first[layer], self._first[layer + 1])
        first, last = span.start + np.searchsorted(self._start[span], (low * width, high * width))
        out = np.zeros((high - low) * width, self.dtype)
        length = self._length[first:last]
        out[runs.voxels(self._start[first:last] - low * width, length)] = np.repeat(self._label[first:last], length)
        return out.reshape(high - low, width)
