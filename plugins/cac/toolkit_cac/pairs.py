"""Which pairs of voxels belong together, as far as the annotation says."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from toolkit.api import Offset, Truth, ends

FREE, BEYOND = -1, -2
"""Values of a target that are no label: a pair of which both ends are unannotated, which may learn from the other
branch; and a pair of which an end is void or beyond the crop."""
REACHES = {2: ((1, 3, 5, 9, 27),) * 2, 3: ((1, 2, 3, 4), (1, 3, 9, 27), (1, 3, 9, 27))}
"""Voxels between the ends of pairs along each axis: in 2-D as in the supplement, §3, in 3-D as in the reference."""


def usual_pairs(ndim: int) -> tuple[Offset, ...]:
    """Pairs along the axes, nearest first; the first `ndim` are the face neighbours."""
    reaches = REACHES[ndim]
    return tuple(
        tuple(-reaches[axis][k] if a == axis else 0 for a in range(ndim))
        for k in range(len(reaches[0]))
        for axis in range(ndim)
    )


def pairs(truth: Truth, offset: Offset, background: Literal["object", "apart"]) -> NDArray[np.int8]:
    """The affinity of each voxel x to x + `offset`: 1, 0, `FREE` or `BEYOND`, of the shape of the truth.

    1 if both ends are in one annotated object, or, where `background` is an object, both in known background; 0 for any
    other pair with a known end that is not both background and unannotated; `FREE` if neither end is in an object and
    one of them or both are unannotated.
    """
    here, there = ends(truth.shape, offset)
    found = np.full(truth.shape, BEYOND, np.int8)
    every = (slice(None),)
    a, b = truth.layers[every + here], truth.layers[every + there]
    one = np.asarray(((a == b) & (a > 0)).any(0))
    object_a, object_b = (a > 0).any(0), (b > 0).any(0)
    unannotated = truth.unannotated
    free = (unannotated[here] | unannotated[there]) & ~object_a & ~object_b
    if background == "object":
        one = one | ~(object_a | object_b)
    labelled = np.where(free, FREE, one).astype(np.int8)
    if truth.void is not None:
        labelled[truth.void[here] | truth.void[there]] = BEYOND
    found[here] = labelled
    return found


def foreground(truth: Truth) -> NDArray[np.int8]:
    """1 in annotated objects, 0 in known background, `FREE` where unannotated and `BEYOND` where void."""
    found = np.where(truth.unannotated, FREE, truth.covered > 0).astype(np.int8)
    if truth.void is not None:
        found[truth.void] = BEYOND
    return found
