"""Objects in a Zarr group, lossless: the arrays of `Instances` with checksums."""
# ruff: noqa: TID253
# Imported only where a Zarr is read or written.

from __future__ import annotations

from collections.abc import Iterable, Iterator
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
from toolkit.values.scattered import Objects, grouped
from toolkit.values.sound import sound

SCHEMA = "toolkit.instances/1"
ARRAYS = {"shape": "int64", "start": "int64", "length": "int32", "offsets": "int64", "scores": "float32"}
ATTRIBUTES = "attributes"
TEXTS = "texts"
"""Texts are stored as their numbers in this list."""
CHUNK = 2**22
"""Entries per chunk."""


def write_zarr_instances(
    group: Any, objects: Objects, voxel_size: tuple[float, ...] | None, form: OmeFormat | None = None
) -> None:
    """Write the objects into a Zarr group. `voxel_size` is in micrometres, None if unknown."""
    form = form or OmeFormat()
    group.attrs.update(
        {
            "schema": SCHEMA,
            "objects": len(objects),
            "sha256": objects.digest,
            "voxel_size_um": None if voxel_size is None else list(voxel_size),
        }
    )
    ends: dict[str, Any] = {"shape": (len(objects.shape),), "offsets": (len(objects) + 1,), "scores": (len(objects),)}
    for name, dtype in ARRAYS.items():
        if name in ends:
            _array(group, name, ends[name], dtype, form)[...] = np.asarray(getattr(objects, name), dtype)
            continue
        array, at = _array(group, name, (int(objects.offsets[-1]),), dtype, form), 0
        for part in _whole(getattr(some, name).astype(dtype) for some in grouped(objects)):
            array[at : at + len(part)] = part
            at += len(part)
    for name, values in objects.attributes.items():
        texts: list[str] = []
        if values.dtype.kind == "U":  # Zarr has no form of texts that all of its readers know
            names, number = np.unique(values, return_inverse=True)
            texts, values = names.tolist(), number.reshape(values.shape).astype("int32")
        array = _array(group, f"{ATTRIBUTES}/{name}", values.shape, values.dtype, form)
        array[...] = values
        if texts:
            array.attrs[TEXTS] = texts


def _array(group: Any, name: str, shape: tuple[int, ...], dtype: Any, form: OmeFormat) -> Any:
    return form.array(group, name, shape, dtype, (max(1, min(CHUNK, shape[0])), *(max(1, n) for n in shape[1:])))


def _whole(parts: Iterable[NDArray[Any]]) -> Iterator[NDArray[Any]]:
    """The same numbers, in whole chunks."""
    held: list[NDArray[Any]] = []
    for part in parts:
        held.append(part)
        if sum(map(len, held)) >= CHUNK:
            joined = np.concatenate(held)
            full = len(joined) // CHUNK * CHUNK
            yield joined[:full]
            held = [joined[full:]]
    yield np.concatenate(held) if held else np.zeros(0)


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
        said = {name: _said(path, array) for name, array in _attributes(path, group).items()}
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


def _said(path: Path, array: Any) -> NDArray[Any]:
    """An attribute, its texts instead of their numbers, if these are numbers of texts."""
    values = np.asarray(array[...])
    texts = array.attrs.get(TEXTS)
    if texts is None:
        return values
    whole = isinstance(texts, list) and values.dtype.kind in "iu" and not (values < 0).any()
    if not whole or (values >= len(texts)).any():
        raise InputError("these objects are damaged", path, "copy the folder again")
    found: NDArray[Any] = np.array([str(text) for text in texts], str)[values]
    return found
