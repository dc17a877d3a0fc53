"""TIFF files: plain, ImageJ and OME."""

from __future__ import annotations

import logging
import os
import re
import struct
import weakref
from contextlib import ExitStack
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from toolkit.errors import InputError
from toolkit.io.raster import Raster, by_shape, decoding, nbytes, plausible, sizes

EAGER = 2**29
"""Compressed images of more bytes are decoded piece by piece when they are needed."""
MAPPED = 2**26
"""Uncompressed images of more bytes are mapped into memory, read only."""
RATIO = 5000
"""No codec in use gains more than this on an image (Deflate: 1032)."""

# tifffile logs what is odd about a file; what matters to the user is raised or noted instead.
logging.getLogger("tifffile").addHandler(logging.NullHandler())


def open_tiff(path: Path) -> Raster:
    """The first series of a TIFF at full resolution, lazy if it is large."""
    with decoding(path):
        _follow(path)
    with decoding(path), tifffile.TiffFile(path, mode="r") as tif:
        if not tif.series or tif.series[0].dtype is None:
            raise InputError("this TIFF holds no image", path, "check the file")
        series = tif.series[0]
        declared = nbytes(series.shape, series.dtype)
        _complete(path, tif, series, declared)
        notes = () if len(tif.series) == 1 else (f"the file holds {len(tif.series)} images; the first is read",)
        pieces = series.dataoffset is None and declared > EAGER
        letters, shape = series.get_axes(squeeze=pieces), series.get_shape(squeeze=pieces)
        with decoding(path, declared):
            source = _pieces(path) if pieces else _voxels(path, series, shape)
        letters = _letters(letters, shape, series.dtype, _told(tif, series.kind))
        if series.kind in ("ome", "imagej"):  # these always have a time and a sample axis
            void = tuple(i for i, c in enumerate(letters) if c in "TS" and shape[i] == 1)
            source = np.squeeze(source, void) if void else source
            letters = "".join(c for i, c in enumerate(letters) if i not in void)
        size, names = _calibration(tif)
        alpha = "S" in letters and bool(series.keyframe.extrasamples)
        return Raster(path, source, letters, size, notes, names, alpha, len(tif.series))


def _complete(path: Path, tif: Any, series: Any, declared: int) -> None:
    """Refuse a file that ends before its voxels do, or that declares more than it can hold."""
    cut = InputError("this TIFF is truncated", path, "copy the file again")
    if _lacks_pages(tif, series):
        raise cut
    if series.dataoffset is not None:
        if series.dataoffset + declared > path.stat().st_size:
            raise cut
        return
    stored = 0
    for page in series.pages:
        if page is None:
            raise InputError("this TIFF lacks some of its images", path, "copy the file again")
        stored += sum(page.databytecounts)
        end = page.parent.filehandle.size  # an OME-TIFF may span several files
        if not page.dataoffsets or any(a + n > end for a, n in zip(page.dataoffsets, page.databytecounts, strict=True)):
            raise cut
    plausible(path, declared, stored, RATIO)


def _lacks_pages(tif: Any, series: Any) -> bool:
    """Whether the file once had more pages: tifffile then reads those that are left without complaint."""
    if series.kind == "shaped":
        expected = prod(tif.shaped_metadata[0]["shape"])
    elif tif.is_imagej:
        expected = int((tif.imagej_metadata or {}).get("images", 1)) * prod(tif.pages[0].shape)
    else:
        expected = 0
    return bool(expected > prod(series.shape))


def _follow(path: Path) -> None:
    """Refuse a file whose chain of page descriptions leaves it or runs in a circle: tifffile would cut or never end."""
    end = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(16)
        order = "<" if head[:2] == b"II" else ">"
        big = 43 in head[2:4]
        if not big and end >= 2**32:  # only formats that bend the standard are as large
            return
        count, pointer, entry = ("Q", "Q", 20) if big else ("H", "I", 12)
        at = struct.unpack_from(order + pointer, head, 8 if big else 4)[0]
        seen: set[int] = set()
        while at:
            if at in seen or at >= end:
                what = "the pages of this TIFF run in a circle" if at in seen else "this TIFF is truncated"
                raise InputError(what, path, "copy the file again")
            seen.add(at)
            file.seek(at)
            tags = struct.unpack(order + count, file.read(struct.calcsize(count)))[0]
            file.seek(tags * entry, os.SEEK_CUR)
            at = struct.unpack(order + pointer, file.read(struct.calcsize(pointer)))[0]


def _told(tif: Any, kind: str) -> bool:
    """Whether the file names its axes; else tifffile makes them up."""
    if kind == "shaped":
        return "axes" in tif.shaped_metadata[0]
    return kind not in ("generic", "uniform")


def _letters(letters: str, shape: tuple[int, ...], dtype: np.dtype[Any], told: bool) -> str:
    known = "".join(c if c in ("TCZYXSLQ" if told else "SYX") else "?" for c in letters)
    return known if {"Y", "X"} <= set(known) else by_shape(shape, dtype)


def _voxels(path: Path, series: Any, shape: tuple[int, ...]) -> Any:
    if series.dataoffset is not None and nbytes(shape, series.dtype) > MAPPED:
        dtype = series.dtype.newbyteorder(series.parent.byteorder)
        return np.memmap(path, dtype, "r", series.dataoffset, shape)
    voxels = series.asarray(maxworkers=1)
    return voxels.astype(voxels.dtype.newbyteorder("="), copy=False).reshape(shape)


def _pieces(path: Path) -> Any:
    """The image as a Zarr array whose strips and tiles are decoded when they are needed."""
    import zarr

    with ExitStack() as files:
        store = tifffile.imread(path, aszarr=True, series=0, level=0, maxworkers=1)
        files.callback(store.close)
        array = zarr.open_array(store, mode="r")
        weakref.finalize(array, files.pop_all().close)
        return array


def _calibration(tif: Any) -> tuple[dict[str, float], tuple[str, ...]]:
    """Voxel size in micrometres per axis, and channel names, from OME-XML or ImageJ's description."""
    if tif.is_ome and tif.ome_metadata:
        xml = tif.ome_metadata
        found = re.search(r"<(?:\w+:)?Pixels\b[^>]*>", xml)
        fields = dict(re.findall(r'(\w+)\s*=\s*"([^"]*)"', found.group())) if found else {}
        units = {c: fields.get(f"PhysicalSize{c}Unit", "µm").replace("&#181;", "µ") for c in "ZYX"}
        names = re.findall(r'<(?:\w+:)?Channel\b[^>]*\bName\s*=\s*"([^"]*)"', xml)
        return sizes({c: fields.get(f"PhysicalSize{c}") for c in "ZYX"}, units), tuple(names)
    if tif.is_imagej:
        about = tif.imagej_metadata or {}
        tags, values = tif.pages[0].tags, {"Z": about.get("spacing")}
        for letter in "YX":
            tag = tags.get(f"{letter}Resolution")
            count, length = tag.value if tag is not None else (0, 0)
            values[letter] = length / count if count else None
        return sizes(values, dict.fromkeys("ZYX", str(about.get("unit", "")))), ()
    return {}, ()
