"""Count what is no number."""

from __future__ import annotations

from math import prod

import numpy as np

from toolkit.values.image import Image
from toolkit.values.tiles import Box


def count_nonfinite(image: Image, voxels: int = 2**24) -> int:
    """How many values of the image are NaN or infinite; nothing is read of an integer image."""
    if image.dtype.kind != "f":
        return 0
    depth, *rest = image.shape
    thick = max(1, voxels // max(1, prod(rest)))
    boxes = (Box((z, *[0] * len(rest)), (min(z + thick, depth), *rest)) for z in range(0, depth, thick))
    return sum(int(np.count_nonzero(~np.isfinite(image.read(box)))) for box in boxes)
