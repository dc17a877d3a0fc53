"""The point of an object that its pixels are trained to point at."""

from __future__ import annotations

from math import prod
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Rule = Literal["medoid", "centroid", "approximate_medoid"]

PAIRS = 2**15
"""Objects with so few pairs of pixels are measured pair by pair."""
ROOM = 2**24
"""Objects whose bounding box, doubled along each axis, has more pixels than this get a sampled medoid."""
SAMPLE = 1024
"""Pixels by which the mean distance is estimated in larger objects.

The mean of SAMPLE distances spread evenly over the object has a relative standard error below 1/√SAMPLE = 3 %, so the
chosen pixel's mean distance exceeds the smallest one by a few per cent at most.
"""
TIE = 1e-9
"""Relative difference of mean distances below which two pixels tie: the rounding of a Fourier transform."""


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
            return np.asarray(points[_medoid(points, voxel_size)])


def _nearest(points: NDArray[np.float64], to: NDArray[np.float64]) -> Any:
    return np.argmin(((points - to) ** 2).sum(1))


def _medoid(points: NDArray[np.int64], voxel_size: tuple[float, ...]) -> Any:
    """Index of the medoid; memory O(n), or that of the bounding box, never O(n²)."""
    low = points.min(0)
    room = tuple(2 * int(n) - 1 for n in points.max(0) - low + 1)
    if len(points) ** 2 > PAIRS and prod(room) <= ROOM:
        total = _sums(points - low, room, voxel_size)
    else:
        total = _measured(points.astype(np.float64) * np.asarray(voxel_size, np.float64))
    return np.argmax(total <= total.min() * (1 + TIE))


def _sums(points: NDArray[np.int64], room: tuple[int, ...], voxel_size: tuple[float, ...]) -> NDArray[np.float64]:
    """Sum of each pixel's distances to all others: a mask convolved with the distance from the origin, `room` in shape.

    Indices are cyclic, and a box of `room` holds every difference of two pixels once.
    """
    from scipy.fft import irfftn, next_fast_len, rfftn

    shape = tuple(next_fast_len(n, real=True) for n in room)
    axes = [np.minimum(np.arange(n), n - np.arange(n)) * s for n, s in zip(shape, voxel_size, strict=True)]
    distance = np.sqrt(sum(a**2 for a in np.ix_(*axes)))
    mask = np.zeros(shape)
    mask[tuple(points.T)] = 1
    sums = irfftn(rfftn(mask) * rfftn(distance), shape)
    return np.asarray(sums[tuple(points.T)], np.float64)


def _measured(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum of each pixel's distances to all others, or to SAMPLE of them, pair by pair."""
    few = len(points) ** 2 <= PAIRS
    others = points if few else points[np.linspace(0, len(points) - 1, SAMPLE).astype(np.int64)]
    total = np.empty(len(points))
    chunk = max(1, 2**20 // len(others))
    for at in range(0, len(points), chunk):
        total[at : at + chunk] = _distances(points[at : at + chunk], others).sum(1)
    return total


def _distances(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    square = np.zeros((len(a), len(b)))
    for axis in range(a.shape[1]):
        difference = a[:, axis, None] - b[None, :, axis]
        square += difference * difference
    return np.sqrt(square)
