"""The watershed of the voxels of an image, and the objects that it makes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.api import Instances, Voxels, runs

Ints = NDArray[np.int64]


def labels(
    voxels: Voxels, height: NDArray[np.float32], seed: NDArray[np.bool_], inside: NDArray[np.bool_]
) -> NDArray[np.int32]:
    """Label of each voxel, 0 for none: one for each connected component (over faces) of the seeds. Voxels that are not
    `inside` are flooded but belong to no object. All `(P,)`."""
    from toolkit_cpv.flood import flood
    from toolkit_cpv.graph import components, neighbours

    links = neighbours(voxels.index, voxels.shape)
    return np.where(inside, flood(height, links, components(seed, links)), 0).astype(np.int32)


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
    return Instances.from_runs(shape, *runs.of_voxels(index[kept], label[kept], shape[-1]), scores)
