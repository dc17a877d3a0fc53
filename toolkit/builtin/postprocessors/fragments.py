"""Over-segmentation by a watershed on boundaries."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


def fragments(
    boundary: NDArray[Any],
    inside: NDArray[np.bool_],
    mask: NDArray[np.bool_],
    spacing: tuple[float, ...],
    slices: bool = False,
    dust: int = 0,
) -> Ints:
    """Labels 1 … of `mask`, 0 elsewhere; all arguments have one shape.

    Each regional maximum of the distance to what is not `inside` seeds a fragment, and `boundary` is flooded from the
    seeds, low voxels first. With `slices` each plane of the first axis by itself. Fragments of fewer than `dust` voxels
    are given to those around them, as far as there are any. Connectivity is that of faces. `spacing`: size of a voxel
    along each axis, in any unit.
    """
    if slices and mask.ndim == 3:
        found, used = np.zeros(mask.shape, np.int64), 0
        for plane, height, core, part in zip(found, boundary, inside, mask, strict=True):
            label = fragments(height, core, part, spacing[1:], dust=dust)
            plane[label > 0] = label[label > 0] + used
            used += int(label.max(initial=0))
        return found
    import edt
    from scipy import ndimage
    from skimage.morphology import local_maxima
    from skimage.segmentation import watershed

    def flooded(seeds: NDArray[Any]) -> Ints:
        return np.asarray(watershed(boundary, seeds, connectivity=1, mask=mask), np.int64)  # type: ignore[no-untyped-call]

    if not (inside & mask).any():
        return ndimage.label(mask)[0].astype(np.int64)  # type: ignore[no-any-return]
    smallest = min(spacing)
    distance = edt.edt(np.ascontiguousarray(inside), anisotropy=tuple(s / smallest for s in spacing), parallel=1)
    # Without any boundary in sight every voxel is infinitely deep.
    distance = np.where(inside & mask, np.minimum(distance, np.float32(sum(mask.shape))), 0)
    peaks = local_maxima(distance, connectivity=1) & (distance > 0)  # type: ignore[no-untyped-call]
    label = flooded(ndimage.label(peaks)[0])
    size = np.bincount(label.reshape(-1))
    small = size < dust
    if small[1:].any() and not small[1:].all():
        label = flooded(np.where(small[label], 0, label))
    # What no seed reaches is a fragment of its own: dropping it is for `min_size` to decide.
    rest = ndimage.label(mask & (label == 0))[0]
    return np.asarray(np.where(rest > 0, rest + label.max(initial=0), label), np.int64)
