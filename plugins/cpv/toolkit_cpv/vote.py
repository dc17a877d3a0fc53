"""Votes for centres: where the vector of each voxel points."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from toolkit.values.prediction import Prediction

Ints = NDArray[np.int64]
NOWHERE = -1
"""Target of a vote beyond the image, which does not count."""


def targets(
    vectors: NDArray[np.float32],
    at: Sequence[Ints],
    of: Prediction,
    scale: Sequence[float] = (),
    clamp: bool = False,
) -> Ints:
    """Raster index in the image of voxel + round(vector · scale), rounded half to even, `(P,)`; −1 beyond the image.

    `vectors` `(P, D)` are those of the voxels with coordinates `at` in the box of `of`; `scale` `(D,)` turns vectors
    into voxels. With `clamp`, votes beyond the image go to the nearest voxel of it.
    """
    factor = np.array(scale or (1.0,) * len(of.shape), np.float32)
    step = np.rint(np.asarray(vectors, np.float32) * factor)
    # Far vectors and those that are no numbers do not fit an integer.
    fits = np.all(np.abs(step) < 2.0**30, axis=1)
    place = np.stack(at, axis=1) + np.array(of.box.start) + np.where(fits[:, None], step, 0).astype(np.int64)
    last = np.array(of.shape) - 1
    if clamp:
        place = np.clip(place, 0, last)
    fits &= np.all((place >= 0) & (place <= last), axis=1)
    index = np.ravel_multi_index(tuple(np.clip(place, 0, last).T), of.shape)
    return np.where(fits, index, NOWHERE).astype(np.int64)


def counted(target: Ints) -> tuple[Ints, Ints]:
    """Raster indices that somebody votes for, ascending, and the votes of each."""
    index, count = np.unique(target, return_counts=True)
    first = int(np.searchsorted(index, 0))
    return index[first:], count[first:].astype(np.int64)


def voted(target: Ints, more_than: int) -> Ints:
    """Raster indices with more than so many votes."""
    index, count = counted(target)
    return index[count > more_than]
