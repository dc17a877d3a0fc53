"""How a picture is to be shown, which cameras and phones say in EXIF and which pixels do not follow."""

from __future__ import annotations

import struct
from contextlib import suppress
from pathlib import Path

TAG = 274
MOST = 2**16
"""Bytes of EXIF that are read at most; a JPEG can hold no more."""
CHUNKS = 64
"""Chunks of a PNG that are looked at, before its pixels."""
TURNED = "its orientation tag says that it is to be shown turned or mirrored; it is read as it is stored"


def turned(path: Path) -> tuple[str, ...]:
    """A note where a PNG or JPEG is to be shown in another way than it is stored; what cannot be read says nothing."""
    with suppress(Exception):
        if _orientation(path) in range(2, 9):
            return (TURNED,)
    return ()


def _orientation(path: Path) -> int:
    from PIL import Image

    with path.open("rb") as file:
        if file.read(8) == b"\x89PNG\r\n\x1a\n":
            exif = Image.Exif()
            for _ in range(CHUNKS):
                length, kind = struct.unpack(">I4s", file.read(8))
                if kind == b"eXIf" and length <= MOST:
                    exif.load(file.read(length))
                if kind in (b"eXIf", b"IDAT"):
                    break
                file.seek(length + 4, 1)
            return int(exif.get(TAG, 1))
    with Image.open(path, formats=["JPEG"]) as image:
        return int(image.getexif().get(TAG, 1))
