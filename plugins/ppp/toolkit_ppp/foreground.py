"""fg(I): the pixels that belong to some instance, and those that belong to several (paper, 2.2 and 2.3)."""

from __future__ import annotations

from typing import Any

from toolkit.values.prediction import Prediction
from toolkit_ppp.options import Options


def foreground(prediction: Prediction, options: Options) -> tuple[Any, Any]:
    """Masks of `prediction.box`, on its device: pixels of an instance, and pixels whose own patch takes part.

    From the head `foreground`, else `numinst` (probabilities of 0, 1 and ≥ 2 instances), else the centre of `patches`.
    Pixels of several instances have no patch of their own; with `border: drop` neither have those near the border.
    """
    heads = prediction.heads
    if "foreground" in heads:
        inside = heads["foreground"][0] > options.foreground
    elif "numinst" in heads:
        inside = 1 - heads["numinst"][0] > options.foreground
    else:
        inside = heads["patches"][options.voxels // 2].astype("float64") > options.threshold
    centres = inside.copy()
    if "numinst" in heads:
        centres &= ~(heads["numinst"][2] > options.overlap_threshold)
    if options.border == "drop":
        for axis, (start, size, radius) in enumerate(
            zip(prediction.box.start, prediction.shape, options.radius, strict=True)
        ):
            extent = centres.shape[axis]
            low, high = max(0, radius - start), max(0, min(extent, size - radius - start))
            along = centres.swapaxes(0, axis)
            along[:low] = False
            along[max(low, high) :] = False
    return inside, centres
