"""Votes for centres: how many vectors point at each voxel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from toolkit.tiles import Box
from toolkit_cpv.jit import jit

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
    lead = 3 - len(shape)  # everything gets three axes; in 2-D the first has extent 1
    first, one = (0,) * lead, (1,) * lead
    near = box.grow((GROW,) * len(shape), within=shape)
    low, high = np.array(first + near.start), np.array(one + near.stop)
    counts = np.zeros(high - low, np.int32)
    vectors = np.pad(vectors, ((lead, 0), *((0, 0),) * len(shape))) if lead else np.ascontiguousarray(vectors)
    beyond = _count(
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
    far, count = np.unique(beyond, return_counts=True)
    return Votes.join([near_votes, Votes(far, count)])


@jit
def _count(
    vectors: NDArray[np.float32],
    voters: NDArray[np.bool_],
    factor: NDArray[np.float32],
    start: Ints,
    low: Ints,
    high: Ints,
    extent: Ints,
    clamp: bool,
    counts: NDArray[np.int32],
) -> Ints:
    """Fill `counts`, which covers `low` … `high`; returns the raster indices of the votes elsewhere in the image."""
    beyond = np.empty(16, np.int64)
    size = 0
    for z in range(voters.shape[0]):
        for y in range(voters.shape[1]):
            for x in range(voters.shape[2]):
                if not voters[z, y, x]:
                    continue
                fz = np.rint(vectors[0, z, y, x] * factor[0])
                fy = np.rint(vectors[1, z, y, x] * factor[1])
                fx = np.rint(vectors[2, z, y, x] * factor[2])
                # Far vectors and those that are no numbers do not fit an integer.
                if not (abs(fz) < 2.0**30 and abs(fy) < 2.0**30 and abs(fx) < 2.0**30):
                    continue
                tz, ty, tx = start[0] + z + int(fz), start[1] + y + int(fy), start[2] + x + int(fx)
                if clamp:
                    tz = min(max(tz, 0), extent[0] - 1)
                    ty = min(max(ty, 0), extent[1] - 1)
                    tx = min(max(tx, 0), extent[2] - 1)
                elif not (0 <= tz < extent[0] and 0 <= ty < extent[1] and 0 <= tx < extent[2]):
                    continue
                if low[0] <= tz < high[0] and low[1] <= ty < high[1] and low[2] <= tx < high[2]:
                    counts[tz - low[0], ty - low[1], tx - low[2]] += 1
                else:
                    if size == len(beyond):
                        longer = np.empty(2 * size, np.int64)
                        longer[:size] = beyond
                        beyond = longer
                    beyond[size] = (tz * extent[1] + ty) * extent[2] + tx
                    size += 1
    return beyond[:size]
