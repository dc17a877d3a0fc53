"""Whether objects that were read from somewhere are objects: arrays of others may hold anything."""

from __future__ import annotations

import numpy as np

from toolkit.values.attributes import wrong
from toolkit.values.instances import Instances

MOST = 2**62
"""Voxels of an image: every raster index is a number."""


def sound(instances: Instances) -> bool:
    """Whether the arrays fit each other and every run lies in one row of the image."""
    shape, start, length, offsets = instances.shape, instances.start, instances.length, instances.offsets
    if any(part.ndim != 1 for part in (start, length, offsets, instances.scores)):
        return False
    if len(shape) not in (2, 3, 4) or min(shape) < 1 or len(offsets) != len(instances) + 1 or len(start) != len(length):
        return False
    end, size = start + length, int(np.prod(shape, dtype=np.float64))
    return (
        size < MOST
        and not wrong(instances.attributes, len(instances))
        and offsets[0] == 0
        and offsets[-1] == len(start)
        and bool((np.diff(offsets) > 0).all())
        and bool(((length > 0) & (start >= 0) & (end <= size)).all())
        and bool((start // shape[-1] == (end - 1) // shape[-1]).all())
    )
