"""Voxel sizes that TIFF files tell without OME-XML: ImageJ, LSM, SVS and the resolution tags."""

from __future__ import annotations

from typing import Any

from toolkit.io.units import micrometres, seen, sizes

UNITS = {2: "inch", 3: "cm"}
"""Values of the tag ResolutionUnit that name a length."""
PRINT = ("inch", "in", "inches", "cm", "centimeter", "centimetre")
"""Units of ImageJ in which resolution is told for paper."""


def calibration(tif: Any, page: Any) -> tuple[dict[str, float], str]:
    """Voxel size in micrometres by axis letter, as far as known, and where it comes from. `page` is a full-size one.
    Pixels that no instrument has are unknown, whoever tells them."""
    if tif.is_imagej:
        return _imagej(tif.imagej_metadata or {}, page), "ImageJ"
    if tif.is_lsm:
        about = tif.lsm_metadata or {}
        return seen(sizes({c: about.get(f"VoxelSize{c}") for c in "ZYX"}, dict.fromkeys("ZYX", "m"))), "LSM"
    if tif.is_svs:
        about = dict(part.split(" = ", 1) for part in page.description.split("|") if " = " in part)
        return seen(sizes({c: about.get("MPP") for c in "YX"}, dict.fromkeys("YX", "µm"))), "Aperio"
    return seen(_printed(page), printed=True), "resolution tags"


def channel_names(tif: Any, channels: int) -> tuple[str, ...]:
    """Names that ImageJ keeps for channels: labels of its images, where each is a channel."""
    about = (tif.imagej_metadata or {}) if tif.is_imagej else {}
    labels = about.get("Labels") or []
    named = [str(label).strip() for label in labels]
    alone = int(about.get("slices", 1)) * int(about.get("frames", 1)) == 1
    return tuple(named) if alone and len(named) == channels > 1 and all(named) else ()


def _imagej(about: dict[str, Any], page: Any) -> dict[str, float]:
    unit = str(about.get("unit", ""))
    units = {"X": unit, "Y": str(about.get("yunit") or unit), "Z": str(about.get("zunit") or unit)}
    found = sizes({"Z": about.get("spacing"), **_pixel(page)}, units)
    return seen(found, printed=unit.strip().lower() in PRINT)


def _printed(page: Any) -> dict[str, float]:
    tag = page.tags.get("ResolutionUnit")
    unit = UNITS.get(int(tag.value) if tag is not None else 2, "")
    found = {c: micrometres(v, unit) for c, v in _pixel(page).items()}
    return {c: v for c, v in found.items() if v is not None}


def _pixel(page: Any) -> dict[str, float | None]:
    """Units of length per pixel along each axis, from the resolution tags."""
    values: dict[str, float | None] = {}
    for letter in "YX":
        tag = page.tags.get(f"{letter}Resolution")
        count, length = tag.value if tag is not None else (0, 0)
        values[letter] = length / count if count else None
    return values
