"""PNG, JPEG and BMP files."""

from __future__ import annotations

import os
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import InputError
from toolkit.io.orientation import turned
from toolkit.io.raster import Raster, decoding, plausible
from toolkit.io.view import coloured

HEADER = 33
BESIDE = 2**26
"""Bytes of a PNG that are no pixels, of which one has at most eight."""
RATIO = 1100
"""No codec of these formats gains more on an image (Deflate: 1032)."""


def open_picture(path: Path) -> Raster:
    """Grey, RGB, or numbers with a table of colours; PNG with 8 or 16 bit. An opacity channel is marked."""
    with decoding(path), path.open("rb") as stream:
        head = stream.read(HEADER)
        stored = os.fstat(stream.fileno()).st_size
        png = head.startswith(b"\x89PNG")
        if png and (len(head) < HEADER or head[12:16] != b"IHDR"):
            raise InputError("this PNG is damaged", path, "it has no header; check the file")
        if png and head[25] != 3:
            import imagecodecs

            width, height = (int.from_bytes(head[i : i + 4], "big") for i in (16, 20))
            declared = width * height * max(1, head[24] // 8)
            plausible(path, declared, stored, RATIO)
            with decoding(path, declared):
                voxels, table = imagecodecs.png_decode(head + stream.read(8 * declared + BESIDE)), None
        else:
            voxels, table = _pixels(path, stored)
    samples = voxels.shape[2] if voxels.ndim == 3 else 0
    opacity = (samples - 1,) if samples in (2, 4) else ()
    view = None if table is None else partial(coloured, table=table)
    return Raster(path, voxels, "YXS" if samples else "YX", opacity=opacity, view=view, notes=turned(path))


def _pixels(path: Path, stored: int) -> tuple[NDArray[Any], NDArray[np.uint8] | None]:
    """Pixels as stored, and their table of colours `(N, 3)` if they have one."""
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                width, height = image.size
                plausible(path, width * height * len(image.getbands()), stored, RATIO)
                if image.mode == "P":
                    return np.array(image), np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
                return np.array(image.convert("RGB") if image.mode in ("CMYK", "YCbCr", "LAB", "HSV") else image), None
    except UnidentifiedImageError as error:
        raise InputError("this picture is damaged", path, "it has no header; check the file") from error
    except Image.DecompressionBombError as error:
        raise InputError("this picture has too many pixels for its format", path, "convert it to TIFF") from error
