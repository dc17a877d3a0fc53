"""The inner loop of the voting. Everything has three axes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from toolkit.gpu.jit import jit

Ints = NDArray[np.int64]


@jit
def count(
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
