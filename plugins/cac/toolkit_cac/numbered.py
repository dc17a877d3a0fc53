"""Which voxels are in which annotated object, for losses that compare whole objects."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from toolkit.api import Truth
from toolkit_cac.pairs import BEYOND, FREE


def numbered(truth: Truth) -> NDArray[np.int32]:
    """`(L, *S)`: 1…N in annotated objects, in the order of their first voxels, then of their sizes, whatever their ids
    are; 0 in known background, `FREE` where unannotated, `BEYOND` where void, the latter two in every layer."""
    found = np.where(truth.layers > 0, truth.layers, 0)
    if truth.void is not None:
        found[:, truth.void] = 0
    ids, first, place, size = np.unique(found, return_index=True, return_inverse=True, return_counts=True)
    first %= np.prod(truth.shape)
    number = np.zeros(len(ids), np.int32)
    order = np.lexsort((size, first))
    order = order[ids[order] > 0]
    number[order] = np.arange(1, len(order) + 1)
    found = number[place].reshape(found.shape)
    found[:, truth.unannotated] = FREE
    if truth.void is not None:
        found[:, truth.void] = BEYOND
    return found
