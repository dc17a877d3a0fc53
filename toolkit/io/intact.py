"""Whether a TIFF is all there: tifffile reads much of a damaged one without complaint."""

from __future__ import annotations

import os
import struct
from math import prod
from pathlib import Path
from typing import Any

from toolkit.errors import InputError
from toolkit.io.planes import whole
from toolkit.io.raster import plausible

RATIO = 5000
"""No codec in use gains more than this on an image (Deflate: 1032)."""


def complete(path: Path, tif: Any, series: Any, declared: int) -> None:
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
        stored += whole(path, page, page.parent.filehandle.size)
    plausible(path, declared, stored, RATIO)


def follow(path: Path) -> None:
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


def _lacks_pages(tif: Any, series: Any) -> bool:
    """Whether the file once had more pages: tifffile then reads those that are left without complaint."""
    if series.kind == "shaped":
        expected = prod(tif.shaped_metadata[0]["shape"])
    elif tif.is_imagej:
        expected = int((tif.imagej_metadata or {}).get("images", 1)) * prod(tif.pages[0].shape)
    else:
        expected = 0
    return bool(expected > prod(series.shape))
