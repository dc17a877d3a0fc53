"""Balls around points, as runs."""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


def balls(index: Ints, shape: tuple[int, ...], voxel_size: tuple[float, ...], radius: float) -> tuple[Ints, Ints, Ints]:
    """Runs `(start, length, owner)` of the voxels within `radius` of each voxel `index` `(K,)`, inside the image.

    `radius` is in units of the smallest voxel edge.
    """
    step = np.array(voxel_size or (1.0,) * len(shape))
    step = step / step.min()
    reach = [int(radius // s) for s in step[:-1]]
    rows = np.array(list(product(*(range(-r, r + 1) for r in reach))), np.int64).reshape(-1, len(reach))
    left = radius**2 - ((rows * step[:-1]) ** 2).sum(1)
    rows, half = rows[left >= 0], np.floor(np.sqrt(left[left >= 0]) / step[-1]).astype(np.int64)
    place = np.stack(np.unravel_index(index, shape), axis=1)
    row = place[:, None, :-1] + rows
    low = np.maximum(place[:, None, -1] - half, 0)
    high = np.minimum(place[:, None, -1] + half, shape[-1] - 1)
    fits = np.all((row >= 0) & (row < np.array(shape[:-1])), axis=2)
    start = np.ravel_multi_index((*np.moveaxis(row[fits], 1, 0), low[fits]), shape)
    return start.astype(np.int64), (high - low + 1)[fits], np.nonzero(fits)[0]
