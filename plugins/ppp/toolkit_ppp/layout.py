"""Where the voxels of a patch lie in memory, so that a whole patch is one contiguous addition."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Triple = tuple[int, int, int]


def triple(shape: tuple[int, ...], fill: int = 1) -> Triple:
    """`(Z, Y, X)` of a 2-D or 3-D shape: the kernels know three axes only."""
    z, y, x = (fill,) * (3 - len(shape)) + tuple(shape)
    return z, y, x


@dataclass(frozen=True)
class Layout:
    """Patches padded to the row stride 2P − 1.

    Voxel (a, b, c) of a patch has the position `a·strides[0] + b·strides[1] + c`. The difference of the positions of
    two voxels then tells their offset, whatever patch they are in: the affinities of pixel y with all its successors z
    in raster order are a window `w[position of z − position of y]`, to which a patch adds its voxels from y on.
    """

    patch: Triple

    @property
    def strides(self) -> Triple:
        row = 2 * self.patch[2] - 1
        return row * (2 * self.patch[1] - 1), row, 1

    @property
    def length(self) -> int:
        """Positions of a patch, and of a window: one past the last voxel."""
        return 1 + sum((n - 1) * s for n, s in zip(self.patch, self.strides, strict=True))

    @property
    def padded(self) -> int:
        """Positions that a patch occupies: zeros follow it, as far as a neighbour that starts later in its row reaches;
        whole cache lines."""
        return -(-(self.length + self.patch[2]) // 32) * 32

    def positions(self) -> NDArray[np.int32]:
        """The position of each voxel of a patch."""
        return np.tensordot(self.strides, np.indices(self.patch, np.int32), 1).reshape(-1).astype(np.int32)
