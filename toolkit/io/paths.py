"""What the name of a file says: whether it can be an image, and the stem that pairs it with others."""

from __future__ import annotations

from pathlib import Path

SUFFIXES = (".ome.tiff", ".ome.tif", ".labels.tif", ".ome.zarr", ".tiff", ".tif", ".png", ".zarr")
"""Endings that are stripped from a name, longest first."""
OUTPUTS = (".labels.tif", ".overlay.png")
"""Endings of files that a run writes; they are not taken for images when a folder is searched."""


def stem(path: Path) -> str:
    """The name without its image ending: `a.ome.tif`, `a.labels.tif` and `a.zarr` all have the stem `a`."""
    name = path.name
    return next((name[: -len(s)] for s in SUFFIXES if name.lower().endswith(s) and len(name) > len(s)), path.stem)


def is_zarr(path: Path) -> bool:
    """Whether `path` is a folder that holds a Zarr group or array."""
    return path.is_dir() and any((path / f).is_file() for f in ("zarr.json", ".zgroup", ".zarray"))


def is_image(path: Path) -> bool:
    """Whether `path` looks like an image by its name: a TIFF or PNG file, or an OME-Zarr folder."""
    name = path.name.lower()
    if name.startswith("."):
        return False
    if path.is_dir():
        return name.endswith(".zarr") or is_zarr(path)
    return name.endswith((".tif", ".tiff", ".png"))
