"""What a file shows where that is not what it stores: inverted brightness, tables of colours. Lazy and pointwise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.io.raster import Raster


def inverted(raster: Raster, bits: int) -> Raster:
    """The image of a file in which 0 is white; its numbers have so many bits."""
    dtype = np.dtype(raster.source.dtype)
    if dtype.kind == "f":
        return replace(raster, notes=(*raster.notes, "0 is white in this file; its numbers are read as stored"))
    top = 1 if dtype.kind == "b" else 2**bits - 1 if dtype.kind == "u" else -1

    def flip(voxels: NDArray[Any]) -> NDArray[Any]:
        return ~voxels if dtype.kind == "b" else (top - voxels).astype(dtype)

    note = "0 is white in this file; it was inverted, so that bright is bright"
    return replace(raster, source=_shown(raster.source, flip, dtype, ()), notes=(*raster.notes, note), view=None)


def coloured(raster: Raster, table: NDArray[Any]) -> Raster:
    """The image of a file whose numbers are rows of `table` `(N, 3)`; those stay where the colours only grow with them,
    because then the table is a way of showing grey."""
    steps = np.diff(table.astype(np.int64), axis=0)
    if (steps >= 0).all():
        return replace(raster, view=None)
    last = len(table) - 1

    def look_up(index: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(table[np.minimum(index, last)])

    source = _shown(raster.source, look_up, table.dtype, (3,))
    note = "the colours of its colour table are read, not the numbers of the colours"
    return replace(raster, source=source, axes=f"{raster.axes}S", notes=(*raster.notes, note), view=None)


def _shown(source: Any, fn: Callable[[NDArray[Any]], NDArray[Any]], dtype: np.dtype[Any], more: tuple[int, ...]) -> Any:
    mapped = not isinstance(source, np.ndarray) or isinstance(source, np.memmap)
    return Shown(source, fn, dtype, (*source.shape, *more)) if mapped else fn(source)


@dataclass(frozen=True, eq=False)
class Shown:
    """`fn` of a lazy array, which may add a last axis."""

    source: Any
    fn: Callable[[NDArray[Any]], NDArray[Any]]
    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    def __getitem__(self, index: tuple[Any, ...]) -> NDArray[Any]:
        own = len(self.source.shape)
        voxels = self.fn(np.asarray(self.source[index[:own]]))
        return np.asarray(voxels[(..., *index[own:])])


def eight_bit(table: NDArray[Any]) -> NDArray[np.uint8]:
    """A TIFF's table of 16-bit colours in the 8 bits that palette images are made of."""
    return (table >> 8 if int(table.max(initial=0)) > 255 else table).astype(np.uint8)
