"""Pages of one or several TIFF files as one lazy array."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from toolkit.errors import InputError

Place = tuple[Path, int]
"""A file and the number of a page in it."""


@dataclass(frozen=True, eq=False)
class Planes:
    """An array `(*lead, *page)`; `pages` are in raster order of `lead`. A page is decoded when it is needed."""

    pages: tuple[Place, ...]
    lead: tuple[int, ...]
    page: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def shape(self) -> tuple[int, ...]:
        return (*self.lead, *self.page)

    def __getitem__(self, index: tuple[Any, ...]) -> NDArray[Any]:
        ahead, inside = index[: len(self.lead)], index[len(self.lead) :]
        wanted = [np.atleast_1d(np.arange(n)[i]) for n, i in zip(self.lead, ahead, strict=True)]
        numbers = [int(np.ravel_multi_index(at, self.lead)) if at else 0 for at in product(*wanted)]
        got = np.stack([voxels[inside] for voxels in _read([self.pages[n] for n in numbers])])
        kept = tuple(len(w) for w, i in zip(wanted, ahead, strict=True) if isinstance(i, slice))
        return got.reshape(*kept, *got.shape[1:])


def _read(places: Sequence[Place]) -> list[NDArray[Any]]:
    """The voxels of pages; each file is opened once for pages that follow each other."""
    found, begin = [], 0
    while begin < len(places):
        end = begin
        while end < len(places) and places[end][0] == places[begin][0]:
            end += 1
        path = places[begin][0]
        with tifffile.TiffFile(path, mode="r", _multifile=False) as tif:
            found += [tif.pages[n].asarray(maxworkers=1) for _, n in places[begin:end]]
        begin = end
    return found


def whole(path: Path, page: Any, end: int) -> int:
    """Bytes that a page stores; `InputError` if its file of `end` bytes is too short for them."""
    if not page.dataoffsets or any(a + n > end for a, n in zip(page.dataoffsets, page.databytecounts, strict=True)):
        raise InputError("this TIFF is truncated", path, "copy the file again")
    return int(sum(page.databytecounts))
