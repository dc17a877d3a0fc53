"""The inner loop of the voting. Everything has three axes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from toolkit.api import jit

Ints = NDArray[np.int64]


@jit
def aim(
    vectors: NDArray[np.float32],
    at: Ints,
    box: Ints,
    start: Ints,
    extent: Ints,
    factor: NDArray[np.float32],
    clamp: bool,
    found: Ints,
) -> None:
    """Fill `found` with the raster index in the image of `extent` that the voxel `at` of `box` points at, or −1."""
    for n in range(len(at)):
        found[n] = -1
        fz, fy, fx = (
            np.rint(vectors[n, 0] * factor[0]), np.rint(vectors[n, 1] * factor[1]), np.rint(vectors[n, 2] * factor[2])
        )  # fmt: skip
        # Far vectors and those that are no numbers do not fit an integer.
        if not (abs(fz) < 2.0**30 and abs(fy) < 2.0**30 and abs(fx) < 2.0**30):
            continue
        row = at[n] // box[2]
        z = start[0] + row // box[1] + int(fz)
        y = start[1] + row % box[1] + int(fy)
        x = start[2] + at[n] % box[2] + int(fx)
        if clamp:
            z = min(max(z, 0), extent[0] - 1)
            y = min(max(y, 0), extent[1] - 1)
            x = min(max(x, 0), extent[2] - 1)
        elif not (0 <= z < extent[0] and 0 <= y < extent[1] and 0 <= x < extent[2]):
            continue
        found[n] = (z * extent[1] + y) * extent[2] + x
