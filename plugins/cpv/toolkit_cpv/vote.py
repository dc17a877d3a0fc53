"""Votes for centres: how many vectors point at each voxel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from toolkit.values.tiles import Box

Ints = NDArray[np.int64]
GROW = 48
"""Votes within so many voxels of their block are counted in an array, those beyond in a list."""


@dataclass(frozen=True, eq=False)
class Votes:
    """`count` votes at each of the voxels with raster `index` in the image, ascending; none elsewhere."""

    index: Ints
    count: Ints

    @classmethod
    def join(cls, parts: Sequence[Votes]) -> Votes:
        """The sum of the votes of blocks, in any order."""
        if len(parts) == 1:
            return parts[0]
        index, where = np.unique(np.concatenate([p.index for p in parts]), return_inverse=True)
        count = np.concatenate([p.count for p in parts])
        return cls(index, np.bincount(where, weights=count, minlength=len(index)).astype(np.int64))


def vote(
    vectors: NDArray[np.float32],
    voters: NDArray[np.bool_],
    box: Box,
    shape: Sequence[int],
    scale: Sequence[float] = (),
    clamp: bool = False,
) -> Votes:
    """Each voter votes for voxel + round(vector · scale), rounded half to even.

    `vectors` `(D, *box.shape)` and `voters` `box.shape` lie at `box` in an image of `shape`; `scale` `(D,)` turns
    vectors into voxels. Votes beyond the image do not count; with `clamp` they go to the nearest voxel of it.
    """
    from toolkit_cpv.count import count

    lead = 3 - len(shape)  # everything gets three axes; in 2-D the first has extent 1
    first, one = (0,) * lead, (1,) * lead
    near = box.grow((GROW,) * len(shape), within=shape)
    low, high = np.array(first + near.start), np.array(one + near.stop)
    counts = np.zeros(high - low, np.int32)
    vectors = np.pad(vectors, ((lead, 0), *((0, 0),) * len(shape))) if lead else np.ascontiguousarray(vectors)
    beyond = count(
        vectors.reshape(3, *one, *box.shape),
        np.ascontiguousarray(voters).reshape(*one, *box.shape),
        np.array((*one, *(scale or (1.0,) * len(shape))), np.float32),
        np.array(first + box.start),
        low,
        high,
        np.array((*one, *shape)),
        clamp,
        counts,
    )
    return _collect(counts, near, shape, beyond)


def _collect(counts: NDArray[np.int32], near: Box, shape: Sequence[int], beyond: Ints) -> Votes:
    at = np.flatnonzero(counts)
    index = at
    if near != Box.whole(shape):
        place = np.unravel_index(at, near.shape)
        index = np.ravel_multi_index([a + s for a, s in zip(place, near.start, strict=True)], tuple(shape))
    near_votes = Votes(index.astype(np.int64), counts.reshape(-1)[at].astype(np.int64))
    if len(beyond) == 0:
        return near_votes
    far, times = np.unique(beyond, return_counts=True)
    return Votes.join([near_votes, Votes(far, times)])
