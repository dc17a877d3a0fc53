"""OME-Zarr images, versions 0.1 to 0.5, read lazily at full resolution."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from toolkit.errors import InputError
from toolkit.io.raster import Raster, by_shape, decoding, sizes


def open_zarr(path: Path) -> Raster:
    """An OME-Zarr image (the first of several) or a plain Zarr array; nothing but metadata is read now."""
    with decoding(path):
        import zarr

        from toolkit.io.chunks import bound, opened

        node = opened(path)
        notes: tuple[str, ...] = ()
        if isinstance(node, zarr.Group) and "bioformats2raw.layout" in _about(node) and "0" in node:
            node, notes = node["0"], ("the file may hold several images; the first is read",)
        if isinstance(node, zarr.Array):
            bound(path, node)
            return Raster(path, node, by_shape(node.shape, node.dtype), notes=notes)
        about = _about(node)
        if not about.get("multiscales"):
            raise InputError("this folder is no OME-Zarr image", path, "it lists no multiscales; check the path")
        image = about["multiscales"][0]
        level = image["datasets"][0]
        array = node[level["path"]]
        if not isinstance(array, zarr.Array):
            raise InputError("this OME-Zarr lacks its full resolution", path, f"{level['path']} is no array")
        bound(path, array)
        letters, units = _axes(image, array.ndim)
        if len(letters) != array.ndim:
            raise InputError(f"the axes {letters} do not fit the shape {array.shape}", path, "check its metadata")
        size, note = _size(letters, units, image, level)
        names = tuple(str(c.get("label", "")) for c in about.get("omero", {}).get("channels", ()))
        return Raster(path, array, letters, size, notes + note, names)


def _about(node: Any) -> Mapping[str, Any]:
    """OME metadata: below `ome` since version 0.5, at the top before."""
    attributes: dict[str, Any] = dict(node.attrs)
    ome = attributes.get("ome")
    return ome if isinstance(ome, dict) else attributes


def _axes(image: Mapping[str, Any], ndim: int) -> tuple[str, dict[str, str]]:
    """Axis letters, and units of length as far as the file names them."""
    axes = image.get("axes") or "TCZYX"[-ndim:]
    letters, units = "", {}
    for axis in axes:
        about = axis if isinstance(axis, Mapping) else {"name": axis}
        letter = {"channel": "C", "time": "T"}.get(str(about.get("type")), str(about.get("name")).upper())
        letters += letter if letter in {*"TCZYX"} - {*letters} else "?"
        if about.get("unit"):
            units[letter] = str(about["unit"])
    return letters, units


def _size(
    letters: str, units: Mapping[str, str], image: Mapping[str, Any], level: Mapping[str, Any]
) -> tuple[dict[str, float], tuple[str, ...]]:
    """Voxel size in micrometres per axis, and a note if the unit is a guess."""
    scale = dict.fromkeys(letters, 1.0)
    for about in (image, level):
        for step in about.get("coordinateTransformations") or ():
            if step.get("type") == "scale":
                scale = {c: scale[c] * float(v) for c, v in zip(letters, step["scale"], strict=True)}
    spatial = {c: scale[c] for c in "ZYX" if c in scale}
    named = {c: units[c] for c in spatial if c in units}
    if not named and all(v == 1 for v in spatial.values()):
        return {}, ()
    note = () if named else ("the file names no unit of length; micrometres are assumed",)
    return sizes(spatial, dict.fromkeys(spatial, "micrometer") | named), note
