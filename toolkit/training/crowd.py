"""Where objects overlap or nearly touch: what a network finds hardest, and sees seldom."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from toolkit.values.truth import Truth

REACH = 3.0
"""Objects nearly touch if they are both within so many voxels of a voxel, along each axis; along an axis of larger
voxels, within as many micrometres."""
MOST = 2**16
"""Points kept of an image."""


def crowd(truth: Truth) -> NDArray[np.int64]:
    """Voxels `(P, D)` near which there are two annotated objects, in raster order; every n-th of very many."""
    from scipy.ndimage import maximum_filter, minimum_filter

    if len(truth.ids) < 2:
        return np.zeros((0, truth.ndim), np.int64)
    finest = min(truth.voxel_size)
    size = tuple(2 * round(REACH * finest / s) + 1 for s in truth.voxel_size)
    none = np.iinfo(np.int32).max
    largest, smallest = np.zeros(truth.shape, np.int32), np.full(truth.shape, none, np.int32)
    for layer in truth.layers:
        np.maximum(largest, maximum_filter(layer, size, mode="nearest"), out=largest)
        np.minimum(smallest, minimum_filter(np.where(layer > 0, layer, none), size, mode="nearest"), out=smallest)
    points = np.argwhere(largest > smallest)
    return points[:: max(1, -(-len(points) // MOST))]
