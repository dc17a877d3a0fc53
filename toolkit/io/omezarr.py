"""OME-Zarr images, versions 0.1 to 0.5, and other Zarr arrays, read lazily at full resolution."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

from toolkit.errors import InputError
from toolkit.io.lettered import axes_of, lettered
from toolkit.io.plate import about_of, fields
from toolkit.io.raster import Raster, decoding, interpreting
from toolkit.io.units import sizes

COUNTED = 2**20
"""Of arrays with more chunks it is not counted how many are stored."""
MOST_LEVELS = 64


def open_zarr(path: Path) -> Raster:
    """An OME-Zarr image (the first of several) or a plain Zarr array; nothing but metadata is read now."""
    with decoding(path):
        import zarr

        from toolkit.io.chunks import opened

        node = opened(path)
    with decoding(path), interpreting(path):
        if isinstance(node, zarr.Array):
            return _plain(path, node)
        about = about_of(node)
        notes: tuple[str, ...] = ()
        if first := fields(path):
            raise InputError(
                "this is a plate of many images", path, f"name a field, such as {first[0][0]}, or run all with seg run"
            )
        if "bioformats2raw.layout" in about and "0" in node:
            count = sum(1 for name in node.group_keys() if name.isdecimal())
            if count > 1:
                notes = (f"the file holds {count} images; the first is read; name {path.name}/1 for the second",)
            node = node["0"]
            about = about_of(node)
        if not about.get("multiscales"):
            return _only(path, node)
        return _image(path, node, about, notes)


def levels(path: Path) -> list[str]:
    """The names of the arrays of an OME-Zarr image, as it lists them; none of what lists none."""
    with decoding(path):
        from toolkit.io.chunks import opened

        node = opened(path)
    with decoding(path), interpreting(path):
        listed = about_of(node).get("multiscales") or ()
        return [str(level["path"]) for level in listed[0]["datasets"]][:MOST_LEVELS] if listed else []


def _image(path: Path, node: Any, about: Mapping[str, Any], notes: tuple[str, ...]) -> Raster:
    if len(about["multiscales"]) > 1:
        notes = (*notes, f"the file lists {len(about['multiscales'])} images in one group; the first is read")
    image = about["multiscales"][0]
    level, array, said = _largest(path, node, image)
    _bounded(path, array)
    letters, units, strange = _axes(image, array)
    if len(letters) != array.ndim:
        raise InputError(f"the axes {letters} do not fit the shape {array.shape}", path, "check its metadata")
    size, note = ({}, ()) if said else _size(letters, units, image, level)
    names = tuple(str(c.get("label", "")) for c in about.get("omero", {}).get("channels", ()))
    labelled = "image-label" in about or "labels" in path.absolute().parts[-3:-1]
    return Raster(
        path, array, letters, size, (*notes, *said, *note), names, origin="OME-Zarr", strange=strange,
        kind="labels" if labelled else "image", absent=absent(array), chunks=array.nchunks,
    )  # fmt: skip


def _largest(path: Path, node: Any, image: Mapping[str, Any]) -> tuple[Mapping[str, Any], Any, tuple[str, ...]]:
    """The level of full resolution, whatever the order of the levels, and a note if their scales contradict it."""
    import zarr

    if len(image["datasets"]) > MOST_LEVELS:
        raise InputError("this OME-Zarr has too many levels", path, f"{MOST_LEVELS} are the most")
    levels = [(level, node.get(level["path"])) for level in image["datasets"]]
    finest = min(levels, key=lambda pair: prod(_scale(pair[0])))
    if not isinstance(finest[1], zarr.Array):
        raise InputError("this OME-Zarr lacks its full resolution", path, f"{finest[0]['path']} is no array")
    there = [pair for pair in levels if isinstance(pair[1], zarr.Array)]
    level, array = max(there, key=lambda pair: prod(pair[1].shape))
    told = all(_scale(pair[0]) for pair in levels)
    if prod(array.shape) == prod(finest[1].shape) or not told:
        return (level, array, ()) if not told else (*finest, ())
    said = "the scales of its levels contradict their shapes; the largest is read, and no voxel size is taken from it"
    return level, array, (said,)


def _scale(level: Mapping[str, Any]) -> tuple[float, ...]:
    steps = level.get("coordinateTransformations") or ()
    return next((tuple(map(float, s["scale"])) for s in steps if s.get("type") == "scale"), ())


def _plain(path: Path, array: Any, notes: tuple[str, ...] = ()) -> Raster:
    """An array without OME metadata; Zarr 3 and xarray may name its axes."""
    _bounded(path, array)
    names = getattr(array.metadata, "dimension_names", None) or array.attrs.get("_ARRAY_DIMENSIONS") or ()
    letters, strange, said = axes_of(names, array.shape, array.dtype)
    return Raster(
        path, array, letters, notes=(*notes, *said), strange=strange, absent=absent(array), chunks=array.nchunks
    )


def _only(path: Path, group: Any) -> Raster:
    """The one array of a group that is a picture, as xarray writes it among its coordinates."""
    arrays = [(name, array) for name, array in group.arrays() if array.ndim >= 2]
    if len(arrays) != 1:
        has = f"it holds {len(arrays)} arrays" if arrays else "it lists no multiscales"
        raise InputError("this folder is no OME-Zarr image", path, f"{has}; name one of its images")
    name, array = arrays[0]
    return _plain(path, array, (f"its array {name} is read",))


def _axes(image: Mapping[str, Any], array: Any) -> tuple[str, dict[str, str], dict[int, str]]:
    """Axis letters, units of length as far as the file names them, and names of axes that have no letter."""
    axes = image.get("axes") or "TCZYX"[-array.ndim :]
    listed = [axis if isinstance(axis, Mapping) else {"name": axis} for axis in axes]
    letters, strange = lettered([(str(a.get("name") or ""), str(a.get("type") or "")) for a in listed])
    units = {c: str(a["unit"]) for c, a in zip(letters, listed, strict=True) if a.get("unit")}
    return letters, units, strange


def _size(
    letters: str, units: Mapping[str, str], image: Mapping[str, Any], level: Mapping[str, Any]
) -> tuple[dict[str, float], tuple[str, ...]]:
    """Voxel size in micrometres per axis, and a note if the unit is a guess."""
    scale = dict.fromkeys(letters, 1.0)
    for about in (image, level):
        if steps := _scale(about):
            scale = {c: scale[c] * v for c, v in zip(letters, steps, strict=True)}
    spatial = {c: scale[c] for c in "ZYX" if c in scale}
    named = {c: units[c] for c in spatial if c in units}
    if not named and all(v == 1 for v in spatial.values()):
        return {}, ()
    note = () if named else ("the file names no unit of length; micrometres are assumed",)
    return sizes(spatial, dict.fromkeys(spatial, "micrometer") | named), note


def absent(array: Any) -> int:
    """How many chunks are not stored. Nothing tells whether they were empty or are lost."""
    return int(array.nchunks - array.nchunks_initialized) if array.nchunks <= COUNTED else 0


def _bounded(path: Path, array: Any) -> None:
    from toolkit.io.chunks import bound

    bound(path, array)
