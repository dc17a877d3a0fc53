"""What the name of a file says: whether it can be an image, and the stem that pairs it with others."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

from toolkit.errors import InputError

TIFFS = (".tiff", ".tif", ".btf", ".tf8", ".lsm", ".svs", ".ndpi", ".qptiff", ".scn", ".stk")
"""Endings of files that are TIFFs inside."""
PICTURES = (".png", ".jpeg", ".jpg", ".bmp")
VENDOR = (
    ".czi",
    ".nd2",
    ".lif",
    ".dv",
    ".r3d",
    ".sldy",
    ".oib",
    ".oif",
    ".oir",
    ".vsi",
    ".ims",
    ".zvi",
    ".lei",
    ".mrxs",
)
"""Endings of formats that `bioio` or its readers may read (extra `formats`)."""
COMPANION = ".companion.ome"
"""Ending of a file that describes a set of OME-TIFFs and holds no pixels."""
SUFFIXES = (
    *(".ome.tiff", ".ome.tif", ".ome.btf", ".labels.tif", ".labels.tiff", COMPANION, ".ome.zarr"),
    *(*TIFFS, *PICTURES, *VENDOR, ".zarr"),
)
"""Endings that are stripped from a name, longest first."""
OUTPUTS = (".labels.tif", ".imagej.tif", ".overlay.png", ".objects.csv", ".objects.parquet", ".points.csv")
"""Endings of files that a run writes; they are not taken for images when a folder is searched."""


def stem(path: Path) -> str:
    """The name without its image ending: `a.ome.tif`, `a.labels.tif` and `a.zarr` all have the stem `a`. One spelling
    of accents: a Mac writes a letter and its accent as two characters."""
    name = unicodedata.normalize("NFC", path.name)
    return next((name[: -len(s)] for s in SUFFIXES if name.lower().endswith(s) and len(name) > len(s)), Path(name).stem)


def is_zarr(path: Path) -> bool:
    """Whether `path` is a folder that holds a Zarr group or array."""
    return path.is_dir() and any((path / f).is_file() for f in ("zarr.json", ".zgroup", ".zarray"))


def is_vendor(path: Path) -> bool:
    """Whether `path` is named like a file of a microscope vendor's own format."""
    return path.name.lower().endswith(VENDOR)


def is_image(path: Path) -> bool:
    """Whether `path` looks like an image by its name: a file in a format that is read here, or an OME-Zarr folder."""
    name = path.name.lower()
    if name.startswith("."):
        return False
    if path.is_dir():
        return name.endswith(".zarr") or is_zarr(path)
    if name.endswith(VENDOR):
        from toolkit.io.vendor import readable

        return readable(path)
    return name.endswith((*TIFFS, *PICTURES, COMPANION))


def local(text: str | Path) -> Path:
    """The path that a text is. Raises `InputError` where it is empty, and for an address on the web."""
    if not str(text):
        raise InputError("the path of the image is empty", do="name a file or a folder")
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", str(text)) and not Path(text).exists():
        address = re.sub(r":/+", "://", str(text), count=1)
        raise InputError("images are not read from addresses", address, "download it and name the file")
    return Path(text)
