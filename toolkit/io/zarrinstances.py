"""Objects in a Zarr group, lossless: the arrays of `Instances` with checksums."""
# ruff: noqa: TID253
# Imported only where a Zarr is read or written.

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from toolkit.errors import InputError
from toolkit.io.chunks import bound, opened
from toolkit.io.omeformat import OmeFormat
from toolkit.io.raster import decoding, interpreting
from toolkit.io.units import LEAST, MOST
from toolkit.values.instances import Instances
from toolkit.values.sound import sound

SCHEMA = "toolkit.instances/1"
ARRAYS = {"shape": "int64", "start": "int64", "length": "int32", "offsets": "int64", "scores": "float32"}
ATTRIBUTES = "attributes"
TEXTS = "texts"
"""Texts are stored as their numbers in this list."""
CHUNK = 2**22
"""Entries per chunk."""


def write_zarr_instances(
    group: Any, instances: Instances, voxel_size: tuple[float, ...] | None, form: OmeFormat | None = None
) -> None:
    """Write the objects into a Zarr group. `voxel_size` is in micrometres, None if unknown."""
    group.attrs.update(
        {
            "schema": SCHEMA,
            "objects": len(instances),
            "sha256": instances.digest,
            "voxel_size_um": None if voxel_size is None else list(voxel_size),
        }
    )
    for name, dtype in ARRAYS.items():
        _store(group, name, np.asarray(getattr(instances, name), dtype), form)
    for name, values in instances.attributes.items():
        if values.dtype.kind == "U":  # Zarr has no form of texts that all of its readers know
            texts, number = np.unique(values, return_inverse=True)
            codes = _store(group, f"{ATTRIBUTES}/{name}", number.reshape(values.shape).astype("int32"), form)
            codes.attrs[TEXTS] = texts.tolist()
        else:
            _store(group, f"{ATTRIBUTES}/{name}", values, form)


def _store(group: Any, name: str, data: NDArray[Any], form: OmeFormat | None) -> Any:
    chunks = (max(1, min(CHUNK, len(data))), *(max(1, n) for n in data.shape[1:]))
    array = (form or OmeFormat()).array(group, name, data.shape, data.dtype, chunks)
    array[...] = data
    return array


def read_zarr_instances(path: Path) -> tuple[Instances, tuple[float, ...]]:
    """The objects in `path/instances` and their voxel size in µm, empty if unknown; 1 for an axis of time.

    Raises `InputError` if an array is damaged or missing, or does not describe these objects.
    """
    with decoding(path), interpreting(path):
        group = opened(path / "instances")
        if not isinstance(group, zarr.Group):
            raise InputError("this folder holds no objects", path, "name the .zarr folder of a run")
        about: dict[str, Any] = dict(group.attrs)
        if about.get("schema") != SCHEMA:
            raise InputError(f"these objects are not stored as {SCHEMA}", path, "write them again")
        arrays: dict[str, Any] = {name: group[name] for name in ARRAYS}
        for array in arrays.values():
            bound(path / "instances", array)
        if any(a.nchunks_initialized < a.nchunks for a in arrays.values()):
            raise InputError("some of these objects are missing", path, "copy the folder again")
        shape, start, length, offsets, scores = (
            np.asarray(arrays[name][:]).astype(dtype) for name, dtype in ARRAYS.items()
        )
        said = {name: _said(array) for name, array in _attributes(path, group).items()}
        instances = Instances(tuple(int(n) for n in shape), start, length, offsets, scores, said)
        if not sound(instances) or instances.digest != about.get("sha256"):
            raise InputError("these objects are damaged", path, "copy the folder again")
        size = tuple(float(v) for v in about.get("voxel_size_um") or ())
        if len(size) > len(shape) or not all(LEAST <= v <= MOST for v in size):
            raise InputError("no voxel has this size", f"{path}, {list(size)} µm", "write them again")
        return instances, (1.0,) * (len(shape) - len(size)) + size if size else ()


def _attributes(path: Path, group: Any) -> dict[str, Any]:
    """The arrays of what a method said of each object, if it said something."""
    found = dict(group[ATTRIBUTES].arrays()) if ATTRIBUTES in group else {}
    for array in found.values():
        bound(path / "instances" / ATTRIBUTES, array)
    return found


def _said(array: Any) -> NDArray[Any]:
    """An attribute, its texts instead of their numbers."""
    values = np.asarray(array[...])
    texts = array.attrs.get(TEXTS)
    return values if texts is None else np.array([str(text) for text in texts], str)[values]
