"""Arrays of Python as images: NumPy, and lazily Zarr, dask and xarray."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.errors import InputError
from toolkit.io.axes import FEW
from toolkit.io.computed import Computed
from toolkit.io.image import frames_of
from toolkit.io.lettered import lettered
from toolkit.io.raster import Raster
from toolkit.values.image import Image


def of_array(array: Any, axes: str | None = None, voxel_size: Sequence[float] | None = None) -> tuple[Image, ...]:
    """The frames of an array, with the errors of an image in a file; one if it has no axis of time.

    Without `axes`: those that the array names (xarray, Zarr 3), else YX, ZYX or CZYX. Raises `InputError` where these
    would most likely be wrong.
    """
    source, names = _opened(array)
    if len(names) == len(source.shape) and any(names):
        letters, strange = lettered([(str(name or ""), "") for name in names])
    else:
        letters, strange = "CZYX"[-len(source.shape) :] if 2 <= len(source.shape) <= 4 else "?" * len(source.shape), {}
        shape = source.shape
        if axes is None and len(shape) > 2 and shape[-1] < FEW <= min(shape[-3:-1]):
            raise InputError(
                f"an array of shape {shape} has few columns for an image", "array", "say what its axes are with --axes"
            )
    return frames_of(Raster(Path("array"), source, letters, strange=strange), axes, voxel_size)


def _opened(array: Any) -> tuple[Any, Sequence[Any]]:
    """What gives voxels by slices, and the names of its axes."""
    names: Sequence[Any] = ()
    if hasattr(array, "dims") and hasattr(array, "data"):  # xarray
        names, array = array.dims, array.data
    elif hasattr(array, "metadata") and hasattr(array, "chunks"):  # zarr
        names = getattr(array.metadata, "dimension_names", None) or array.attrs.get("_ARRAY_DIMENSIONS") or ()
    if hasattr(array, "compute") and hasattr(array, "dtype"):
        return Computed(array, Path("array")), names
    lazy = hasattr(array, "chunks") and hasattr(array, "shape")
    return (array if lazy else np.asarray(array)), names
