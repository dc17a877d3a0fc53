"""The objects of an image that are wanted: those of some score, in a part of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from toolkit import io
from toolkit.errors import InputError
from toolkit.steps.within import box, within
from toolkit.values.image import Image
from toolkit.values.scattered import Objects, whole


def wanted(
    objects: Objects, image: Image, min_score: float = 0.0, roi: str | None = None, mask: str | None = None
) -> tuple[Objects, NDArray[np.bool_]]:
    """The objects of at least this score in the box and in the label image of `--roi` and `--mask`; and `(N,)` which
    of them were cut. Raises `InputError` where box or mask are none of this image."""
    objects = objects.select(objects.scores >= min_score) if min_score else objects
    if roi is None and mask is None:
        return objects, np.zeros(len(objects), bool)
    part = None if roi is None else box(roi, image.shape, image.name)
    covered = None if mask is None else io.read_truth(mask, shape=image.shape).covered > 0
    if covered is not None and covered.shape != image.shape:
        raise InputError(f"the mask has {list(covered.shape)} voxels and the image has {list(image.shape)}",
                         f"{image.name}, --mask {mask}", "choose the mask of this image")  # fmt: skip
    return within(whole(objects), part, covered)
