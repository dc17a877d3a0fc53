"""Votes for centres: where the vector of each voxel points."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from toolkit.api import Prediction

Ints = NDArray[np.int64]
NOWHERE = -1
"""Target of a vote beyond the image, which does not count."""
SPREAD = 16
"""Targets are counted in an array if that has at most so many voxels for each vote."""


def targets(
    vectors: NDArray[np.float32], at: Ints, of: Prediction, scale: Sequence[float] = (), clamp: bool = False
) -> Ints:
    """Raster index in the image of voxel + round(vector · scale), rounded half to even, `(P,)`; −1 beyond the image.

    `vectors` `(P, D)` are those of the voxels with raster index `at` in the box of `of`; `scale` `(D,)` turns vectors
    into voxels. With `clamp`, votes beyond the image go to the nearest voxel of it.
    """
    from toolkit_cpv.aim import aim

    lead = 3 - len(of.shape)  # everything gets three axes; in 2-D the first has extent 1
    found = np.empty(len(at), np.int64)
    aim(
        np.ascontiguousarray(np.pad(vectors, ((0, 0), (lead, 0))), np.float32),
        at,
        np.array((1,) * lead + of.box.shape),
        np.array((0,) * lead + of.box.start),
        np.array((1,) * lead + of.shape),
        np.array((1.0,) * lead + tuple(scale or (1.0,) * len(of.shape)), np.float32),
        clamp,
        found,
    )
    return found


def counted(target: Ints) -> tuple[Ints, Ints]:
    """Raster indices that somebody votes for, ascending, and the votes of each."""
    known = target[target >= 0]
    if len(known) == 0:
        return known, known
    first, last = int(known.min()), int(known.max())
    if last - first < SPREAD * len(known):
        votes = np.bincount(known - first)
        index = np.flatnonzero(votes)
        return index + first, votes[index].astype(np.int64)
    index, votes = np.unique(known, return_counts=True)
    return index, votes.astype(np.int64)
