"""Windows of affinities (Eqs 3 and 4) side by side in GPU memory, for one pane of a box at a time.

The GPU has the windows of all pixels of a pane at once where the CPU has eight: one kernel fills them and the next
reads them. The affinities of an image are never stored here either.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.api import Backend, Box, kernels
from toolkit_ppp.options import Options
from toolkit_ppp.patches import KERNELS, THREADS, Patches

TILE = 4
"""Pixels of a row whose windows are filled together, as the kernels say too."""
BUDGET = 2**30
"""Bytes of windows at once. Less gives the same numbers."""


@dataclass(frozen=True, eq=False)
class Panes:
    """The windows of the pixels of `pane`, a box of tiles `(Z, Y, tiles)` of the box that begins at `start`.

    `tiles` (n, 3) int32: where a tile begins, in coordinates of the block. `masks` (n,) uint8: bit i says whether its
    pixel i has a window. `slots` (*pane) int32: which tile lies there, −1 for none. `affinities` int32, in units of
    1/16384: window i of tile n begins at `(n·TILE + i)·width`; a pair for which no patch votes has the least integer.
    """

    start: tuple[int, ...]
    pane: Box
    tiles: Any
    masks: Any
    slots: Any
    affinities: Any
    width: int

    @property
    def pixels(self) -> Box:
        """The pixels of the pane, in coordinates of the block; the last tile of a row may reach beyond the box."""
        along = (1, 1, TILE)
        low, high = (
            tuple(s + n * a for s, n, a in zip(self.start, end, along, strict=True))
            for end in (self.pane.start, self.pane.stop)
        )
        return Box(low, high)


def fill(
    patches: Patches, box: Box, wanted: Any, options: Options, backend: Backend, use: Callable[[Panes], None]
) -> None:
    """`use` the windows of the pixels of `box` that are `wanted` (a mask of its shape), each of them once.

    Panes that do not fit in GPU memory are halved; so `use` allocates before it changes anything that stays.
    """
    xp = backend.xp
    across = -(-box.shape[2] // TILE)
    padded = xp.zeros((*box.shape[:2], across * TILE), np.uint8)
    padded[:, :, : box.shape[2]] = wanted
    masks = xp.zeros((*box.shape[:2], across), np.uint8)
    for i in range(TILE):
        masks |= padded[:, :, i::TILE] << i
    there = backend.to_numpy(masks) > 0
    width = -(-patches.layout.length // 32) * 32

    def work(pane: Box) -> None:
        use(filled(patches, box.start, pane, masks, width, options, backend))

    def halve(pane: Box) -> list[Box]:
        return cut(there, pane, int(there[pane.slices].sum()) // 2)

    kernels.in_parts(work, cut(there, Box.whole(there.shape), BUDGET // (4 * TILE * width)), halve)


def cut(there: NDArray[np.bool_], pane: Box, most: int) -> list[Box]:
    """Partition `pane` into boxes of at most `most` tiles that are `there`, or one; boxes without any are left out."""
    count = int(there[pane.slices].sum())
    if count <= max(1, most):
        return [pane] if count else []
    # Rows are cut last: they are stretches of memory.
    axis = max(range(3), key=lambda a: (pane.shape[a] > 1, pane.shape[a] * (TILE, TILE, 1)[a]))
    middle = (pane.start[axis] + pane.stop[axis]) // 2
    low = tuple(middle if a == axis else n for a, n in enumerate(pane.stop))
    high = tuple(middle if a == axis else n for a, n in enumerate(pane.start))
    return cut(there, Box(pane.start, low), most) + cut(there, Box(high, pane.stop), most)


def filled(
    patches: Patches,
    start: tuple[int, ...],
    pane: Box,
    masks: Any,
    width: int,
    options: Options,
    backend: Backend,
) -> Panes:
    """The windows of a pane. `masks` are those of all tiles of the box that begins at `start`."""
    xp = backend.xp
    here = masks[pane.slices]
    z, y, x = xp.nonzero(here)
    places = (
        z + (start[0] + pane.start[0]),
        y + (start[1] + pane.start[1]),
        x * TILE + (start[2] + pane.start[2] * TILE),
    )
    tiles = xp.stack(places, axis=1).astype(np.int32)
    slots = xp.full(pane.shape, -1, np.int32)
    slots[z, y, x] = xp.arange(len(tiles), dtype=np.int32)
    bits = here[z, y, x]
    affinities = xp.empty(len(tiles) * TILE * width, np.int32)
    patch = patches.layout.patch
    # Windows of the pixels of a tile are offset by one, so that together they span longer rows.
    row = 2 * patch[2] + TILE - 2
    span = ((patch[0] - 1) * (2 * patch[1] - 1) + patch[1] - 1) * row + patch[2] - 1 + TILE
    normalised = options.t2 >= 0
    module = kernels.load(KERNELS / "consensus.cu")
    module.launch(
        "consensus_normalised" if normalised else "consensus", len(tiles) * -(-span // THREADS), THREADS,
        patches.rows, patches.codes, tiles, bits, *patches.shape, *patch, options.count == "decided",
        *([options.t2] if normalised else []), span, width, affinities,
    )  # fmt: skip
    return Panes(start, pane, tiles, bits, slots, affinities, width)
