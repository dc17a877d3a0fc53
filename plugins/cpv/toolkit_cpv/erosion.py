"""Which voxels of an object lie inside it, and which on its rim, as far as a crop can tell."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Neighbours = Literal["faces", "all"]
Bools = NDArray[np.bool_]


def erode(labels: NDArray[np.int32], void: Bools | None, neighbours: Neighbours) -> tuple[Bools, Bools]:
    """Erode each object of a label image by one voxel.

    `neighbours` are the face neighbours of a voxel, or all 3^D − 1. Returns `(inside, doubtful)`, both of the shape of
    `labels`: `inside` voxels have no known neighbour outside of their object; they are `doubtful` if they have a
    neighbour that is void or beyond the array, so that the whole image might say otherwise.
    """
    unknown = np.zeros(labels.shape, bool) if void is None else void
    info = np.iinfo(np.int32)
    low = _around(np.where(unknown, info.max, labels), np.minimum, neighbours)
    high = _around(np.where(unknown, info.min, labels), np.maximum, neighbours)
    inside = (labels > 0) & ~unknown & (low == labels) & (high == labels)
    return inside, inside & (_edge(labels.shape) | _around(unknown, np.logical_or, neighbours))


def _around(values: NDArray[Any], pick: np.ufunc, neighbours: Neighbours) -> NDArray[Any]:
    """`pick` over each voxel and its neighbours inside the array."""
    found = values.copy()
    for axis in range(values.ndim):
        # All neighbours are a box, and the pick over a box is that of one axis after the other.
        seen = found.copy() if neighbours == "all" else values
        before, after = pair(values.ndim, axis)
        pick(found[after], seen[before], out=found[after])
        pick(found[before], seen[after], out=found[before])
    return found


def pair(ndim: int, axis: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Slices of all voxels that have a next voxel along `axis`, and of these next voxels."""
    return tuple((*(slice(None),) * axis, part) for part in (slice(None, -1), slice(1, None)))  # type: ignore[return-value]


def _edge(shape: tuple[int, ...]) -> Bools:
    """The outermost voxels of an array."""
    edge = np.ones(shape, bool)
    edge[(slice(1, -1),) * len(shape)] = False
    return edge
