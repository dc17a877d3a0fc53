"""Files whose pixels are not those that were saved: what JPEG keeps of labels are other numbers."""

from __future__ import annotations

from pathlib import Path

from toolkit.errors import InputError
from toolkit.io.raster import decoding

TIFFS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
JPEGS = (6, 7, 33007, 34892)
"""Compressions of a TIFF that are JPEG; 34892 and 33007 are those of DNG and of alternative files."""


def refuse_lossy(path: Path) -> None:
    """Raises `InputError` for labels in a JPEG, or in a TIFF that is compressed like one. Other files pass."""
    if not path.is_file():
        return
    with decoding(path), path.open("rb") as file:
        head = file.read(4)
    if head[:3] == b"\xff\xd8\xff" or (head in TIFFS and _compressed(path)):
        raise InputError(
            "labels in a JPEG are not those that were saved: it blurs numbers", path, "save the labels as PNG or TIFF"
        )


def _compressed(path: Path) -> bool:
    import tifffile

    try:
        with tifffile.TiffFile(path, mode="r", _multifile=False) as tif:
            return int(tif.pages.first.compression) in JPEGS
    except Exception:  # a damaged file says so in its turn
        return False
