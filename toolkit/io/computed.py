"""Dask arrays, whose pieces are computed when they are needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import InputError
from toolkit.io.raster import foreign


class Computed:
    """A dask array that gives NumPy, one piece after the other; what it raises is an `InputError` about `path`, as is
    a shape that nobody knows before."""

    def __init__(self, array: Any, path: Path) -> None:
        if any(n != n for n in array.shape):
            do = "call its compute_chunk_sizes() before"
            raise InputError("the shape of this dask array is not known before it is computed", path, do)
        self.path, self.array, self.shape, self.dtype = path, array, tuple(map(int, array.shape)), array.dtype

    def __getitem__(self, index: tuple[Any, ...]) -> NDArray[Any]:
        with foreign(self.path):
            return np.asarray(self.array[index].compute(scheduler="synchronous"))
