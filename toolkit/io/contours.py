"""Outlines of objects as label files: GeoJSON, as QuPath writes it, and ImageJ's ROI files and zips."""

from __future__ import annotations

import io
import logging
import struct
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import InputError
from toolkit.files import bounded
from toolkit.io.paths import stem
from toolkit.io.raster import foreign
from toolkit.values.instances import Instances

_log = logging.getLogger(__name__)
ENDINGS = (".geojson", ".roi", ".zip")
MOST = 2**26
"""Bytes of one outline that are read at most."""
MOST_ZIPPED = 2**28
"""Bytes of a zip of outlines, and of all that is in it."""
FAR = 2.0**31
NOWHERE, SMALL = "without a geometry", "around the middle of no pixel"
WRITTEN = "of text or a picture"
"""Why outlines are left out."""
WRITING = (1, 4)
"""Subtypes of ImageJ's rectangles that hold text and pictures."""
Ring = NDArray[np.float64]
"""Corners `(N, 2)` as (x, y); the first pixel covers 0 … 1."""


def is_contours(path: Path) -> bool:
    """Whether `path` looks like a file of outlines by its name."""
    return path.name.lower().endswith(ENDINGS) and not path.name.startswith(".")


def contours_stem(path: Path) -> str:
    """The name without its endings: `a.geojson`, `a.tif.geojson`, `a_rois.zip` and `a.roi.zip` have the stem `a`."""
    name = stem(Path(path.name[: -len(path.suffix)] + ".tif"))
    name = next((name[: -len(e)] for e in ("_rois", "_roiset", ".roi", ".rois") if name.lower().endswith(e)), name)
    return stem(Path(name)) if Path(name).suffix.lower() in (".tif", ".tiff", ".png") else name


def read_contours(path: Path, shape: Sequence[int]) -> Instances:
    """The objects in an image of `shape` (YX). A pixel belongs to an object if its middle lies inside an odd number of
    its rings, so that holes are holes. What is left out is counted in a warning: features without a geometry, text, and
    what is too small for a pixel. Raises `InputError` for outlines that are no areas or lie outside the image."""
    if len(shape) != 2:
        raise InputError("outlines are flat, and this image is a volume", path, "give label images")
    with foreign(path):
        found = list(_geojson(path) if path.suffix.lower() == ".geojson" else _rois(path))
        objects = [_checked(rings) for rings in found if not isinstance(rings, str)]
    parts = [_runs(rings, (shape[0], shape[1])) for rings in objects]
    for number, (rings, (start, _)) in enumerate(zip(objects, parts, strict=True), 1):
        corners = np.concatenate(rings)
        if not len(start) and ((corners.max(0) <= 0).any() or (corners.min(0) >= np.array(shape)[::-1]).any()):
            raise InputError(
                f"outline {number} lies outside the image of {shape[0]}×{shape[1]} pixels",
                path,
                "write pixels of the full resolution, not micrometres",
            )
    left = Counter(why for why in found if isinstance(why, str))
    left += Counter(SMALL for start, _ in parts if not len(start))
    if left:
        _log.warning("%s: outlines left out: %s", path, ", ".join(f"{n} {why}" for why, n in left.items()))
    parts = [part for part in parts if len(part[0])]
    owner = np.repeat(np.arange(len(parts)), [len(start) for start, _ in parts])
    joined = [np.concatenate(values) if parts else np.zeros(0, np.int64) for values in zip(*parts, strict=True)]
    start, length = joined or (np.zeros(0, np.int64), np.zeros(0, np.int64))
    return Instances.from_runs(tuple(shape), start, length, owner, np.ones(len(parts), np.float32))


def _checked(rings: list[Ring]) -> list[Ring]:
    """The rings of an outline; raises `ValueError` for what has no corners, or none that a picture has."""
    if not rings or not all(len(ring) and ring.shape[1:] == (2,) and (abs(ring) < FAR).all() for ring in rings):
        raise ValueError("an outline has corners that are nowhere, or none")
    return rings


def _runs(rings: Sequence[Ring], shape: tuple[int, int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Start and length of the runs of pixels inside an odd number of rings."""
    x0, y0 = np.concatenate(rings).T
    x1, y1 = np.concatenate([np.roll(ring, -1, axis=0) for ring in rings]).T
    low = max(0, int(np.ceil(y0.min() - 0.5)))
    high = min(shape[0], int(np.ceil(y0.max() - 0.5)))
    start, length = [], []
    for row in range(low, high):
        cut = (y0 <= row + 0.5) != (y1 <= row + 0.5)
        across = np.sort(x0[cut] + (row + 0.5 - y0[cut]) * (x1[cut] - x0[cut]) / (y1[cut] - y0[cut]))
        ends = np.ceil(across - 0.5).clip(0, shape[1]).astype(np.int64).reshape(-1, 2)
        ends = ends[ends[:, 1] > ends[:, 0]]
        start.append(row * shape[1] + ends[:, 0])
        length.append(ends[:, 1] - ends[:, 0])
    empty = [np.zeros(0, np.int64)]
    return np.concatenate(start or empty), np.concatenate(length or empty)


def _geojson(path: Path) -> Iterator[list[Ring] | str]:
    """The rings of each feature, or why it has none."""
    data = bounded.read_json(path, 2**28)
    features = data.get("features", [data]) if isinstance(data, dict) else data
    for number, feature in enumerate(features, 1):
        rings = list(_areas(path, number, feature.get("geometry", feature)))
        yield rings or NOWHERE


def _areas(path: Path, number: int, geometry: Any) -> Iterator[Ring]:
    """Rings of all polygons of a geometry; a null one, which GeoJSON allows, has none."""
    if geometry is None:
        return
    kind = geometry.get("type")
    if kind == "GeometryCollection":
        for one in geometry.get("geometries", []):
            yield from _areas(path, number, one)
        return
    if kind not in ("Polygon", "MultiPolygon"):
        raise InputError(f"feature {number} is no area but a {kind}", path, "leave it out")
    if "coordinates" not in geometry:
        raise InputError(f"feature {number} is a {kind} without corners", path, "check the file")
    corners = geometry["coordinates"]
    for polygon in [corners] if kind == "Polygon" else corners:
        yield from (np.array(ring, np.float64)[:, :2] for ring in polygon)


def _rois(path: Path) -> Iterator[list[Ring] | str]:
    """The rings of each region, or why it has none."""
    if path.suffix.lower() == ".roi":
        yield _roi(path, path.name, bounded.read(path, MOST))
        return
    with zipfile.ZipFile(io.BytesIO(bounded.read(path, MOST_ZIPPED))) as archive:
        entries = [entry for entry in archive.infolist() if _is_roi(entry.filename)]
        if not entries and archive.namelist():  # without any it is that of an image without objects
            raise InputError("this zip holds no .roi of ImageJ", path, "save the regions of its ROI manager again")
        if sum(entry.file_size for entry in entries) > MOST_ZIPPED:
            raise InputError("these outlines are too large", path, "check the file")
        for entry in entries:
            if entry.file_size > MOST:
                raise InputError("an outline is too large", f"{path}, {entry.filename}", "check the file")
            yield _roi(path, entry.filename, archive.read(entry))


def _is_roi(name: str) -> bool:
    """By its name; what a Mac adds to a zip is called so too."""
    *folders, file = name.split("/")
    return file.lower().endswith(".roi") and not file.startswith("._") and "__MACOSX" not in folders


def _roi(path: Path, name: str, data: bytes) -> list[Ring] | str:
    """An outline in ImageJ's format: big-endian, a header of 64 bytes, then corners relative to the bounding box."""
    where = f"{path}, {name}"
    if data[:4] != b"Iout" or len(data) < 64:
        raise InputError("this is no ROI of ImageJ", where, "check the file")
    version, kind = struct.unpack_from(">hB", data, 4)
    top, left, bottom, right, count = struct.unpack_from(">hhhhH", data, 8)
    segments, options = struct.unpack_from(">i", data, 36)[0], struct.unpack_from(">h", data, 50)[0]
    if segments:
        return _composite(where, struct.unpack_from(f">{segments}f", data, 64))
    if kind == 1 and version >= 218 and struct.unpack_from(">h", data, 48)[0] in WRITING:
        return WRITTEN
    if kind == 1:
        return [np.array([(left, top), (right, top), (right, bottom), (left, bottom)], np.float64)]
    if kind == 2:
        turn = np.linspace(0, 2 * np.pi, 720, endpoint=False)
        middle, radius = np.array([left + right, top + bottom]) / 2, np.array([right - left, bottom - top]) / 2
        return [middle + radius * np.stack([np.cos(turn), np.sin(turn)], axis=1)]
    if kind not in (0, 7, 8):
        raise InputError("this ROI is no area", where, "leave out lines, angles and points")
    if options & 128 and version >= 222:
        return [np.array(struct.unpack_from(f">{2 * count}f", data, 64 + 4 * count), np.float64).reshape(2, -1).T]
    corners = np.array(struct.unpack_from(f">{2 * count}h", data, 64), np.float64).reshape(2, -1).T
    return [corners + np.array([left, top])]


def _composite(where: str, values: tuple[float, ...]) -> list[Ring]:
    """Rings of a path of moves (0), lines (1) and closings (4)."""
    rings: list[list[tuple[float, float]]] = []
    at = 0
    while at < len(values):
        step = int(values[at])
        if step in (0, 1):
            if step == 0 or not rings:
                rings.append([])
            rings[-1].append((values[at + 1], values[at + 2]))
        elif step != 4:
            raise InputError("this ROI has curves", where, "save it as a polygon")
        at += 1 if step == 4 else 3
    return [np.array(ring, np.float64) for ring in rings]
