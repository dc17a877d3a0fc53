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
        c, end = np.uint64(0), np.int64(0)
        for a in range(to.patch[0]):
            for b in range(to.patch[1]):
                at = a * to.strides[0] + b * to.strides[1]
                place = np.uint64(k * to.width + at)
                # Without branches: what comes next in a patch is anybody's guess.
                for x in range(np.uint64(to.patch[2])):
                    code = codes[chosen[k], c]
                    above, below = code > 0, (code >= -256) & (code < 0)
                    counted = above | below | ((code == 0) & (not decided))
                    to.signed[place] = code - 1 if above else (code + 1 if below else 0)
                    to.classes[place] = np.int8(above) - np.int8(below)
                    to.levels[place] = np.uint8(above) + np.uint8(counted)
                    end = np.int64(at) + np.int64(1) + np.int64(x) if counted else end
                    place += np.uint64(1)
                    c += np.uint64(1)
        to.ends[k] = end
