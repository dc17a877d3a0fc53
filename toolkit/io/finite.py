"""Count what is no number."""

from __future__ import annotations

import numpy as np

from toolkit.values.image import Image
from toolkit.values.tiles import slabs


def count_nonfinite(image: Image, voxels: int = 2**24) -> int:
    """How many values of the image are NaN or infinite; nothing is read of an integer image."""
    return reach(image, voxels)[0] if image.dtype.kind == "f" else 0


def reach(image: Image, voxels: int = 2**24) -> tuple[int, float]:
    """How many values of the image are NaN or infinite, and how far from 0 the others reach."""
    count, top = 0, 0.0
    for box in slabs(image.shape, voxels):
        values = image.read(box)
        finite = np.isfinite(values)
        count += int(np.count_nonzero(~finite))
        top = max(top, *(abs(float(f(values, where=finite, initial=0))) for f in (np.min, np.max)))
    return count, top
