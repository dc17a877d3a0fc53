"""Patches as voters: laid out so that one patch is one contiguous addition."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from toolkit.api import jit
from toolkit_ppp.layout import Triple


class Voters(NamedTuple):
    """Patches laid out for a pane, as the kernels take them.

    `rows` `(Z, Y, X)`: which patch is centred at a pixel, −1 for none. `wanted` `(Z, Y, X)`: pixels that patches may
    cover. Flat arrays of n·width, where patch k begins at
    k·width: `signed`, p if foreground, −(1 − p) if background, 0 if undecided, in units of 1/255; `classes`, +1, −1, 0;
    `levels`, 2 if foreground, 1 if Z_aff counts the pixel otherwise, else 0. `ends` (n,): one past the last position
    that is counted. `t2`: t² for normalised votes, negative for plain ones.
    """

    rows: NDArray[np.int32]
    wanted: NDArray[np.bool_]
    signed: NDArray[np.int16]
    classes: NDArray[np.int8]
    levels: NDArray[np.uint8]
    ends: NDArray[np.int32]
    width: int
    patch: Triple
    strides: Triple
    t2: float


@jit
def expand(codes: NDArray[np.int16], chosen: NDArray[np.int64], decided: bool, to: Voters) -> None:
    """Lay out the patches `chosen`; the arrays come as zeros. `decided`: Z_aff counts decided pixels only."""
    for k in range(len(chosen)):
        c = 0
        for a in range(to.patch[0]):
            for b in range(to.patch[1]):
                at = a * to.strides[0] + b * to.strides[1]
                place = k * to.width + at
                for _ in range(to.patch[2]):
                    code = codes[chosen[k], c]
                    if code > 0:
                        to.signed[place] = code - 1
                        to.classes[place] = 1
                        to.levels[place] = 2
                        to.ends[k] = at + 1
                    elif code >= -256 and (code < 0 or not decided):
                        if code < 0:
                            to.signed[place] = code + 1
                            to.classes[place] = -1
                        to.levels[place] = 1
                        to.ends[k] = at + 1
                    at += 1
                    place += 1
                    c += 1
