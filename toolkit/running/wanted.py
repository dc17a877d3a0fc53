"""The objects of an image that are wanted: those of some score, in a part of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from toolkit.running.mask import covered
from toolkit.steps.within import box, within
from toolkit.values.image import Image
from toolkit.values.scattered import Objects, whole


def wanted(
    objects: Objects,
    image: Image,
    min_score: float = 0.0,
    roi: str | None = None,
    mask: str | None = None,
    frame: int = 0,
) -> tuple[Objects, NDArray[np.bool_]]:
    """The objects of at least this score in the box and in the label image of `--roi` and `--mask`; and `(N,)` which
    of them were cut. `frame` is which one of its series the image is. Raises `InputError` where box or mask are none
    of this image."""
    objects = objects.select(objects.scores >= min_score) if min_score else objects
    if roi is None and mask is None:
        return objects, np.zeros(len(objects), bool)
    part = None if roi is None else box(roi, image.shape, image.name)
    return within(whole(objects), part, None if mask is None else covered(mask, image, frame))
