"""Arrays of Python as images: NumPy, and lazily Zarr, dask and xarray."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.errors import InputError
from toolkit.io.given import NAME, voxels_of
from toolkit.io.image import frames, frames_of
from toolkit.io.lettered import axes_of
from toolkit.io.raster import Raster, decoding
from toolkit.values.image import Image


def of_array(array: Any, axes: str | None = None, voxel_size: Sequence[float] | None = None) -> tuple[Image, ...]:
    """The frames of an array, with the errors of an image in a file; one if it has no axis of time.

    Without `axes`: those that the array names (xarray, Zarr 3), else what its shape suggests, with a note, as of a
    file. A group of Zarr that lies in a folder is what its path is. Raises `InputError` for what is no array, and where
    its shape leaves open what its axes are.
    """
    if hasattr(array, "group_keys") and hasattr(array, "store"):
        return frames(_folder(array), axes, voxel_size)
    names, channels, array = _named(array)
    source = voxels_of(array)
    if axes is None:
        letters, strange, notes = axes_of(names, source.shape, np.dtype(source.dtype))
    else:  # whoever says them knows better than a shape
        letters, strange, notes = "?" * len(source.shape), {}, ()
    absent, chunks = _stored(array)
    raster = Raster(
        Path(NAME), source, letters, notes=notes, channel_names=channels, strange=strange, absent=absent, chunks=chunks
    )
    return frames_of(raster, axes, voxel_size)


def _named(array: Any) -> tuple[Sequence[Any], tuple[str, ...], Any]:
    """Names of the axes and of the channels, as far as there are any, and the array itself."""
    if hasattr(array, "dims") and hasattr(array, "data") and not hasattr(array, "data_vars"):  # xarray
        return array.dims, _channels(array), array.data
    if hasattr(array, "metadata") and hasattr(array, "chunks"):  # zarr
        names = getattr(array.metadata, "dimension_names", None) or array.attrs.get("_ARRAY_DIMENSIONS") or ()
        return names, (), array
    return (), (), array


def _channels(array: Any) -> tuple[str, ...]:
    """The names that the coordinate of the channels of an xarray gives them; numbers are none."""
    letters, _, _ = axes_of(array.dims, array.shape, np.dtype(array.dtype))
    if "C" not in letters:
        return ()
    coordinate = getattr(array, "coords", {}).get(array.dims[letters.index("C")])
    names = [] if coordinate is None else np.asarray(coordinate.values).tolist()
    return tuple(names) if all(isinstance(name, str) for name in names) else ()


def _stored(array: Any) -> tuple[int, int]:
    """How many chunks of a Zarr array are not stored, and how many it has."""
    if not hasattr(array, "nchunks_initialized"):
        return 0, 1
    from toolkit.io.omezarr import absent

    with decoding(Path(NAME)):
        return absent(array), int(array.nchunks)


def _folder(group: Any) -> Path:
    """Where a group of Zarr lies."""
    root = getattr(group.store, "root", None)
    if not isinstance(root, Path) or not root.is_dir():
        do = "give one of its arrays, such as group['0']"
        raise InputError("this group of Zarr does not lie in a folder", group.name, do)
    return Path(root / group.path)
