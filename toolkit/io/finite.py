"""Count what is no number."""

from __future__ import annotations

import numpy as np

from toolkit.values.image import Image
from toolkit.values.tiles import slabs


def count_nonfinite(image: Image, voxels: int = 2**24) -> int:
    """How many values of the image are NaN or infinite; nothing is read of an integer image."""
    if image.dtype.kind != "f":
        return 0
    return sum(int(np.count_nonzero(~np.isfinite(image.read(box)))) for box in slabs(image.shape, voxels))
