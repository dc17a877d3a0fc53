"""Cut a box into panes whose patches fit in cache and memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from toolkit.api import Box
from toolkit_ppp.consensus import TILE
from toolkit_ppp.layout import Triple, triple
from toolkit_ppp.options import Options
from toolkit_ppp.patches import Patches
from toolkit_ppp.voters import Voters, expand

BUDGET = 96 * 2**20
"""Bytes of expanded patches that one thread holds."""


@dataclass(frozen=True, eq=False)
class Pane:
    """The pixels `start … stop` and the patches that cover them, in the frame of `outer`: these pixels grown by the
    radius of a patch, in coordinates of the block. `chosen` says which patches of the block the voters are."""

    start: Triple
    stop: Triple
    outer: Box
    chosen: NDArray[np.int64]
    voters: Voters


def split(patches: Patches, box: Box, threads: int) -> list[Box]:
    """Partition `box` so that each pane needs at most `BUDGET` bytes of patches and there is work for all threads."""
    radius = tuple(n // 2 for n in patches.layout.patch)
    most = max(1, BUDGET // (4 * patches.layout.padded))
    share = max(256, len(patches.centres) // (4 * threads)) if threads > 1 else len(patches.centres) + 1

    def cut(pane: Box) -> list[Box]:
        around = pane.grow(radius, patches.shape)
        if not (patches.rows[around.slices] >= 0).any():
            return []
        needed = int((patches.rows[around.slices] >= 0).sum())
        own = int((patches.rows[pane.slices] >= 0).sum())
        # Long rows are kept whole where possible: tiles of pixels run along them.
        sizes = [n * w for n, w in zip(pane.shape, (4, 4, 1), strict=True)]
        axis = max(range(3), key=lambda a: (sizes[a] if pane.shape[a] > (TILE if a == 2 else 1) else 0, -a))
        if (needed <= most and own <= share) or pane.shape[axis] <= (TILE if axis == 2 else 1):
            return [pane]
        middle = (pane.start[axis] + pane.stop[axis]) // 2
        low = tuple(middle if a == axis else n for a, n in enumerate(pane.stop))
        high = tuple(middle if a == axis else n for a, n in enumerate(pane.start))
        return cut(Box(pane.start, low)) + cut(Box(high, pane.stop))

    return cut(box) if box.size else []


def load(patches: Patches, box: Box, options: Options) -> Pane:
    """Expand the patches that cover `box`."""
    layout = patches.layout
    outer = box.grow(tuple(n // 2 for n in layout.patch), patches.shape)
    rows = patches.rows[outer.slices]
    here = rows >= 0
    chosen = rows[here].astype(np.int64)
    local = np.full(rows.shape, -1, np.int32)
    local[here] = np.arange(len(chosen), dtype=np.int32)
    size = len(chosen) * layout.padded
    wanted = (patches.inside[outer.slices] > 0) | (not options.sparse)
    voters = Voters(
        local, wanted, np.zeros(size, np.int16), np.zeros(size, np.int8), np.zeros(size, np.uint8),
        np.zeros(len(chosen), np.int32), layout.padded, layout.patch, layout.strides, options.t2,
    )  # fmt: skip
    expand(patches.codes, chosen, options.count == "decided", voters)
    own = box.relative_to(outer)
    return Pane(triple(own.start), triple(own.stop), outer, chosen, voters)
