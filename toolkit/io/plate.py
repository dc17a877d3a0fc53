"""Plates of OME-Zarr (HCS): the images of their wells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from toolkit.errors import InputError
from toolkit.io.raster import decoding, interpreting


def about_of(node: Any) -> Mapping[str, Any]:
    """OME metadata: below `ome` since version 0.5, at the top before."""
    attributes: dict[str, Any] = dict(node.attrs)
    ome = attributes.get("ome")
    return ome if isinstance(ome, dict) else attributes


def fields(path: Path) -> tuple[tuple[Path, str], ...] | None:
    """The images of a plate or of a well, each with a name such as `A1_0`; None if `path` is neither.

    Raises `InputError` for a plate without wells or images, or where one that it lists is missing.
    """
    with decoding(path), interpreting(path):
        import zarr

        from toolkit.io.chunks import opened

        node = opened(path)
        about = about_of(node)
        if not isinstance(node, zarr.Group) or not {"plate", "well"} & {*about}:
            return None
        wells = [""] if "well" in about else [str(well["path"]) for well in about["plate"].get("wells") or ()]
        found = tuple(field for well in wells for field in _fields(path, node, well))
    if not found:
        raise InputError("this plate holds no image", path, "it lists no wells with fields; check its metadata")
    return found


def _fields(path: Path, plate: Any, well: str) -> Iterator[tuple[Path, str]]:
    import zarr

    group = plate.get(well) if well else plate
    if not isinstance(group, zarr.Group):
        raise InputError(f"this plate lacks its well {well}", path, "copy it again")
    for image in about_of(group).get("well", {}).get("images") or ():
        folder = path / well / str(image["path"])
        if not folder.is_dir():
            raise InputError(f"this plate lacks field {image['path']} of its well {well}", path, "copy it again")
        name = "".join((Path(well) if well else Path(*path.parts[-2:])).parts)
        yield folder, f"{name}_{image['path']}"
