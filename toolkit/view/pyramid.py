"""Planes of an image at any coarseness: from the levels of its file, averaged where it has none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from toolkit.steps.shrink import shrink, shrunk
from toolkit.values.image import Image
from toolkit.values.tiles import Box

Floats = NDArray[np.float32]
ACROSS = ((1, 2), (0, 2), (1, 0))
"""Rows and columns of the plane across each axis of a volume `(A, Y, X)`."""
MOST = 2**25
"""Voxels that one tile reads; where they were more, an overview of the plane is made first."""
OVERVIEW = 8
"""Voxels of the image per pixel of an overview."""


@dataclass(frozen=True)
class Cut:
    """A rectangle of a plane: across `axis` at voxel `at`, every `steps` voxels along its rows and columns; `start`
    and `shape` are in pixels of the tile."""

    axis: int
    at: int
    steps: tuple[int, int]
    start: tuple[int, int]
    shape: tuple[int, int]


@dataclass(frozen=True, eq=False)
class Pyramid:
    """An image `(C, A, Y, X)` and, if its file has them, coarser copies: `levels` are images with their voxels per
    voxel."""

    levels: Sequence[tuple[Image, tuple[int, int, int]]]
    _views: dict[tuple[int, int], Floats] = field(default_factory=dict)
    _making: Lock = field(default_factory=Lock)

    @property
    def shape(self) -> tuple[int, int, int]:
        return deep(self.levels[0][0].shape)

    def read(self, cut: Cut) -> Floats:
        """The pixels `(C, rows, columns)` of a rectangle, each the mean of the voxels that it stands for."""
        image, by = self._level(cut)
        rest = tuple(s // b for s, b in zip(cut.steps, (by[a] for a in ACROSS[cut.axis]), strict=True))
        if np.prod([n * r for n, r in zip(cut.shape, rest, strict=True)], dtype=np.int64) > MOST:
            return self._from_overview(cut)
        return plane(image, cut, by, rest)

    def _level(self, cut: Cut) -> tuple[Image, tuple[int, int, int]]:
        """The coarsest level that is fine enough."""
        rows, columns = ACROSS[cut.axis]
        fits = [
            (image, by) for image, by in self.levels
            if cut.steps[0] % by[rows] == 0 and cut.steps[1] % by[columns] == 0
        ]  # fmt: skip
        return max(fits, key=lambda level: level[1][rows] * level[1][columns])

    def _from_overview(self, cut: Cut) -> Floats:
        with self._making:
            if (cut.axis, cut.at) not in self._views:
                self._views.clear()  # one at a time: it may be large
                self._views[cut.axis, cut.at] = self._overview(cut)
        view = Image(self._views[cut.axis, cut.at][:, None], "CZYX")
        rest = (max(1, cut.steps[0] // OVERVIEW), max(1, cut.steps[1] // OVERVIEW))
        return plane(view, Cut(0, 0, cut.steps, cut.start, cut.shape), (1, 1, 1), rest)

    def _overview(self, cut: Cut) -> Floats:
        """The whole plane, `OVERVIEW` times coarser: the mean of every other voxel along rows and columns."""
        image, by = self._level(Cut(cut.axis, cut.at, (OVERVIEW, OVERVIEW), (0, 0), (0, 0)))
        rows, columns = ACROSS[cut.axis]
        size = shrunk(self.shape, by)
        rest = (OVERVIEW // by[rows], OVERVIEW // by[columns])
        height, width = (-(-size[a] // r) for a, r in zip((rows, columns), rest, strict=True))
        out = np.empty((image.channels, height, width), np.float32)
        high = max(1, MOST // (size[columns] * rest[0]))
        lean = tuple(min(2, r) for r in rest)
        by_mean = [-(-r // n) for r, n in zip(rest, lean, strict=True)]
        for low in range(0, height, high):
            part = Cut(cut.axis, cut.at, (by[rows], by[columns]), (low * rest[0], 0),
                       (min(high, height - low) * rest[0], size[columns]))  # fmt: skip
            voxels = plane(image, part, by, (1, 1), lean)
            out[:, low : low + high] = shrink(Image(voxels, "CYX"), by_mean).read()
        return out


def deep(shape: Sequence[int]) -> tuple[int, int, int]:
    """A shape as that of a volume `(A, Y, X)`: a flat image has one plane, frames of volumes follow each other."""
    lead = int(np.prod(shape[:-2], dtype=np.int64)) if len(shape) > 2 else 1
    return lead, int(shape[-2]), int(shape[-1])


def plane(
    image: Image, cut: Cut, by: tuple[int, int, int], rest: tuple[int, ...], lean: tuple[int, ...] = (1, 1)
) -> Floats:
    """A rectangle of one level, whose voxels are `by` voxels of the image; `rest` of them are averaged, of these
    averages every `lean`-th is given."""
    spatial = deep(image.shape)
    rows, columns = ACROSS[cut.axis]
    start, stop = [0, 0, 0], [0, 0, 0]
    start[cut.axis] = min(cut.at // by[cut.axis], spatial[cut.axis] - 1)
    stop[cut.axis] = start[cut.axis] + 1
    steps = [1, 1, 1]
    for axis, low, n, r in zip((rows, columns), cut.start, cut.shape, rest, strict=True):
        start[axis], stop[axis], steps[axis] = low, min(low + n, -(-spatial[axis] // r)), r
    lead = 3 - image.ndim
    box = Box(tuple(start[lead:]), tuple(stop[lead:]))
    voxels = shrink(image, steps[lead:]).read(box)
    voxels = voxels[:, None] if lead else voxels
    seen = voxels.transpose(0, 1 + cut.axis, 1 + rows, 1 + columns)[:, 0, :: lean[0], :: lean[1]]
    return np.ascontiguousarray(seen, np.float32)
