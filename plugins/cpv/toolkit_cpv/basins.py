"""What blocks hand on to the watershed, and the watershed of the whole image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.values.instances import Instances
from toolkit.values.tiles import Box
from toolkit_cpv.vote import Votes

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Basins:
    """The voxels that may be flooded, in raster order: `index` in the image of `shape`, `height` float32, `seed` and
    `inside` bool, all `(P,)`. Voxels that are not `inside` are flooded but belong to no object. `votes` are those of
    the block's voxels, wherever they fell; None where nobody votes."""

    shape: tuple[int, ...]
    index: Ints
    height: NDArray[np.float32]
    seed: NDArray[np.bool_]
    inside: NDArray[np.bool_]
    votes: Votes | None = None

    @classmethod
    def of(
        cls,
        height: NDArray[np.float32],
        seed: NDArray[np.bool_],
        inside: NDArray[np.bool_],
        flooded: NDArray[np.bool_],
        box: Box,
        shape: tuple[int, ...],
        votes: Votes | None = None,
    ) -> Basins:
        """From maps of `box`: its voxels where `flooded`."""
        at = np.flatnonzero(flooded)
        index = at
        if box != Box.whole(shape):
            place = np.unravel_index(at, box.shape)
            index = np.ravel_multi_index([a + s for a, s in zip(place, box.start, strict=True)], shape)
        return cls(
            shape,
            index.astype(np.int64),
            np.ascontiguousarray(height).reshape(-1)[at],
            np.ascontiguousarray(seed).reshape(-1)[at],
            np.ascontiguousarray(inside).reshape(-1)[at],
            votes,
        )

    @classmethod
    def join(cls, parts: Sequence[Basins]) -> Basins:
        """The voxels of all blocks, in any order of the blocks."""
        first = parts[0]
        votes = None if first.votes is None else Votes.join([p.votes for p in parts if p.votes is not None])
        if len(parts) == 1:
            return cls(first.shape, first.index, first.height, first.seed, first.inside, votes)
        index = np.concatenate([p.index for p in parts])
        order = np.argsort(index, kind="stable")
        height = np.concatenate([p.height for p in parts])[order]
        seed = np.concatenate([p.seed for p in parts])[order]
        inside = np.concatenate([p.inside for p in parts])[order]
        return cls(first.shape, index[order], height, seed, inside, votes)

    def voted(self, more_than: int) -> Basins:
        """The same with seeds where more than so many vectors point."""
        assert self.votes is not None, "somebody voted"
        chosen = self.votes.index[self.votes.count > more_than]
        at = np.searchsorted(self.index, chosen)
        at, chosen = at[at < len(self.index)], chosen[at < len(self.index)]
        seed = np.zeros(len(self.index), bool)
        seed[at[self.index[at] == chosen]] = True
        return Basins(self.shape, self.index, self.height, seed, self.inside)

    def labels(self) -> NDArray[np.int32]:
        """Label of each voxel, 0 for none: one for each connected component (over faces) of the seeds."""
        from toolkit_cpv.flood import flood
        from toolkit_cpv.graph import components, neighbours

        links = neighbours(self.index, self.shape)
        return np.where(self.inside, flood(self.height, links, components(self.seed, links)), 0).astype(np.int32)


def dilate(index: Ints, label: NDArray[np.int32], shape: tuple[int, ...]) -> tuple[Ints, NDArray[np.int32]]:
    """Voxels `index`, ascending, of objects `label` > 0, and their face neighbours in no object: these go to the object
    whose first voxel comes first in the image. Returns index, ascending, and label."""
    from toolkit_cpv.graph import neighbours

    links = neighbours(index, shape)
    rank = np.zeros(int(label.max(initial=0)) + 1, np.int64)
    rank[label[::-1]] = index[::-1]  # what is written last stays: the first voxel of each object
    fresh, owner = [], []
    stride = 1
    for axis in reversed(range(len(shape))):
        for direction, step, border in ((axis, -stride, 0), (2 * len(shape) - 1 - axis, stride, shape[axis] - 1)):
            free = np.flatnonzero(links[direction] < 0)
            free = free[index[free] // stride % shape[axis] != border]
            fresh.append(index[free] + step)
            owner.append(label[free])
        stride *= shape[axis]
    new, own = np.concatenate(fresh), np.concatenate(owner)
    order = np.lexsort((rank[own], new))
    new, own = new[order], own[order]
    kept = np.ones(len(new), bool)
    kept[1:] = new[1:] != new[:-1]
    at = np.searchsorted(index, new[kept])
    return np.insert(index, at, new[kept]), np.insert(label, at, own[kept])


def objects(index: Ints, label: NDArray[Any], shape: tuple[int, ...], scores: NDArray[Any], min_size: int) -> Instances:
    """Instances of voxels `index`, ascending, with labels > 0; `scores` by label. Smaller ones are dropped."""
    kept = np.bincount(label, minlength=len(scores))[label] >= min_size
    index, label = index[kept], label[kept]
    fresh = np.ones(len(index), bool)
    fresh[1:] = (label[1:] != label[:-1]) | (np.diff(index) != 1) | (index[1:] % shape[-1] == 0)
    first = np.flatnonzero(fresh)
    return Instances.from_runs(shape, index[first], np.diff(first, append=len(index)), label[first], scores)
