"""The point of an object that its pixels are trained to point at."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Rule = Literal["medoid", "centroid", "approximate_medoid"]

EXACT = 2000
"""Objects up to this many pixels get their exact medoid."""
SAMPLE = 1024
"""Pixels by which the mean distance is estimated in larger objects.

The mean of SAMPLE distances spread evenly over the object has a relative standard error below 1/√SAMPLE = 3 %, so the
chosen pixel's mean distance exceeds the smallest one by a few per cent at most.
"""


def centre(points: NDArray[np.int64], rule: Rule, voxel_size: tuple[float, ...]) -> NDArray[np.int64]:
    """The centre pixel of one object.

    `points` `(n, D)` are its pixels in raster order, `voxel_size` `(D,)` scales distances to micrometres. `medoid`:
    the pixel with the smallest mean distance to all others (paper §2). `centroid`: the pixel nearest to the centre of
    mass, wherever it is (it may lie outside of the object; Neven et al. 2019). `approximate_medoid`: the object's pixel
    nearest to the coordinate-wise median (reference). Ties go to the first pixel in raster order.
    """
    micrometres = points.astype(np.float64) * np.asarray(voxel_size, np.float64)
    match rule:
        case "centroid":
            return np.asarray(np.floor(points.mean(0)), np.int64)
        case "approximate_medoid":
            return np.asarray(points[_nearest(micrometres, np.median(micrometres, axis=0))])
        case "medoid":
            return np.asarray(points[_medoid(micrometres)])


def _nearest(points: NDArray[np.float64], to: NDArray[np.float64]) -> Any:
    return np.argmin(((points - to) ** 2).sum(1))


def _medoid(points: NDArray[np.float64]) -> Any:
    """Index of the medoid; memory O(n), not O(n²)."""
    others = points if len(points) <= EXACT else points[np.linspace(0, len(points) - 1, SAMPLE).astype(np.int64)]
    total = np.empty(len(points))
    chunk = max(1, 2**20 // len(others))
    for at in range(0, len(points), chunk):
        total[at : at + chunk] = _distances(points[at : at + chunk], others).sum(1)
    return np.argmin(total)


def _distances(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    square = np.zeros((len(a), len(b)))
    for axis in range(a.shape[1]):
        difference = a[:, axis, None] - b[None, :, axis]
        square += difference * difference
    return np.sqrt(square)
