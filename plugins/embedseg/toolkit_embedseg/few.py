"""The greedy clustering without compiled code, which takes half a second to load: longer than a small image needs.

Step by step and bit by bit what `cells.grow` does. Everything has three axes; in 2-D the first has extent 1. P pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

CELL = 8
LN2 = float(np.log(2.0))
PIXELS, WORK = 2**20, 2**22
"""Beyond so many pixels, and after so many looks at one, compiled code takes less time."""
Fill = Callable[[Any, Any, Any, Any], None]
LOOK, PROPOSAL = 512, 1024
"""Seeds that are looked at at once, and looks at a pixel that a proposal costs beside those at its own."""


def coordinates(start: Any, length: Any, extent: Any, voxel: Any) -> None:
    """Fill `voxel` `(P, 3)` with the coordinates of the pixels of the runs."""
    left = np.repeat(start - (np.cumsum(length) - length), length)
    left += np.arange(len(left))
    for axis in (2, 1, 0):
        left, voxel[:, axis] = np.divmod(left, extent[axis])


def spread(
    start: NDArray[np.int64],
    length: NDArray[np.int64],
    offset: NDArray[np.float32],
    inverse: NDArray[np.float32],
    step: NDArray[np.float64],
    shape: tuple[int, ...],
    fill: Fill,
) -> tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.float32], NDArray[np.float64], NDArray[np.int64]]:
    """Coordinates, offset and inverse of the pixels `(P, 3)`, step and extent of the image `(3,)`: of any image as of a
    volume. `fill`: `coordinates`, of many pixels those of `cells`."""
    steps, extent = np.array([1.0] * (3 - len(step)) + list(step)), np.array([1] * (3 - len(shape)) + list(shape))
    voxel = np.empty((len(offset), 3), np.int32)
    fill(start, length, extent, voxel)
    return voxel, _deep(offset), _deep(inverse), steps, extent


def _deep(array: NDArray[Any]) -> NDArray[Any]:
    """`(P, D)` with leading axes of zeros up to D = 3."""
    deep = np.zeros((len(array), 3), array.dtype)
    deep[:, 3 - array.shape[1] :] = array
    return deep


def begin(
    voxel: NDArray[np.int32],
    offset: NDArray[np.float32],
    inverse: NDArray[np.float32],
    step: NDArray[np.float64],
    cells: NDArray[np.int64],
    seeds: NDArray[np.int64],
    min_size: int,
    overwrite: bool,
    taken: NDArray[np.bool_],
    label: NDArray[np.int32],
    chosen: NDArray[np.int64],
) -> tuple[int, int]:
    """Fill `taken`, `label` and `chosen` as far as little work goes; returns how many seeds are done with and how many
    instances there are."""
    cell = np.zeros(len(voxel), np.int64)
    for axis in range(3):
        at = np.floor((voxel[:, axis] + offset[:, axis] / step[axis]) / CELL)
        cell = cell * cells[axis] + at.clip(0, cells[axis] - 1).astype(np.int64)
    member = np.argsort(cell, kind="stable")
    first = np.searchsorted(cell, np.arange(cells.prod() + 1), sorter=member)
    done = count = work = 0
    while done < len(seeds) and work < WORK:
        ahead = taken[seeds[done : done + LOOK]]
        skip = int(ahead.argmin())
        if ahead[skip]:
            done += len(ahead)
            continue
        s, done = seeds[done + skip], done + skip + 1
        some = _around(s, voxel, offset, inverse, step, cells, member, first)
        near = some[_inside(s, some, voxel, offset, inverse, step)]
        work += PROPOSAL + len(some)
        held = taken[near]
        if not overwrite:
            near, held = near[~held], held[:0]
        free = len(near) - np.count_nonzero(held) - 1  # not the seed itself
        taken[near] = True
        if len(near) >= min_size and (not overwrite or 2 * free > len(near)):
            label[near] = count
            chosen[count] = s
            count += 1
    return done, count


def _around(s: int, voxel: Any, offset: Any, inverse: Any, step: Any, cells: Any, member: Any, first: Any) -> Any:
    """The pixels of the cells that the ellipse of seed s meets."""
    bandwidth = inverse[s].astype(np.float64)
    with np.errstate(divide="ignore"):
        reach = np.where(bandwidth > 0, np.sqrt(LN2 / bandwidth), 0.0) / step
    centre = voxel[s] + offset[s] / step
    low, high = (
        np.floor((centre + side * (reach + 0.01)) / CELL).clip(0, cells - 1).astype(np.int64).tolist()
        for side in (-1, 1)
    )
    rows = [
        (z * int(cells[1]) + y) * int(cells[2])
        for z in range(low[0], high[0] + 1) for y in range(low[1], high[1] + 1)
    ]  # fmt: skip
    return np.concatenate([member[first[row + low[2]] : first[row + high[2] + 1]] for row in rows])


def _inside(s: int, some: Any, voxel: Any, offset: Any, inverse: Any, step: Any) -> Any:
    """Which of some pixels have φ > .5 with seed s."""
    gap = (voxel[some] - voxel[s]) * step + (offset[some] - offset[s])
    part = inverse[s] * gap * gap
    return part[:, 0] + part[:, 1] + part[:, 2] < LN2
