"""Whether a truth looks like one: an object is in few pieces, and an image that was taken for labels in thousands."""

from __future__ import annotations

import numpy as np

from toolkit.values.truth import Truth

SCATTERED = 4
"""Pieces for each id that objects do not have. Of eleven data sets only neurons have more (9, of three); nuclei and
cells have at most 1.2."""
SOME = 10
"""Ids from which so many pieces for each are no objects: a few neurons may be in pieces."""
TINY = 4
"""Voxels of a piece, in the mean, that fill no image with objects."""


def doubt(truth: Truth) -> str:
    """Why these may be no labels, to be read after "the truth of a"; nothing for what looks like labels.

    A mask has one id in many pieces. An image has many numbers, each in many places, or is filled with tiny pieces.
    """
    import cc3d

    pieces = voxels = 0
    numbers = np.zeros(0, np.int32)
    for layer in truth.layers:
        labels = np.maximum(layer, 0)
        found = np.unique(labels)
        numbers = np.union1d(numbers, found[found > 0])
        if labels.ndim in (2, 3) and len(found) > 1:
            pieces += int(cc3d.connected_components(labels, connectivity=8 if labels.ndim == 2 else 26).max())
            voxels += int(np.count_nonzero(labels))
    ids = len(numbers)
    if ids == 1 and pieces >= SCATTERED:
        return f"has one id in {pieces} pieces; if each piece is an object, label them: scipy.ndimage.label(mask)[0]"
    filled = voxels < TINY * pieces and 2 * voxels > truth.layers[0].size
    if ids >= SOME and (pieces >= SCATTERED * ids or filled):
        return f"looks like an image and not like labels, its {ids} numbers lie in {pieces} pieces; name a label image"
    return ""
