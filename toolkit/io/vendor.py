"""Formats of microscope vendors (CZI, ND2, LIF …), read by the readers of `bioio`, which are an extra."""

from __future__ import annotations

import logging
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import InputError
from toolkit.io.computed import Computed
from toolkit.io.raster import Raster, foreign, nbytes

READERS = {".czi": "bioio_czi", ".nd2": "bioio_nd2", ".lif": "bioio_lif", ".dv": "bioio_dv", ".r3d": "bioio_dv",
           ".sldy": "bioio_sldy", ".vsi": "bioio_vsi"}  # fmt: skip
"""Module that reads an ending; every other one needs `bioio_bioformats`."""
OTHERS = "bioio_bioformats"
EAGER = 2**32
"""Colour images of more bytes are not read by a reader that reads all at once."""


def readable(path: Path) -> bool:
    """Whether a reader for this ending is installed; nothing is imported."""
    return find_spec(_reader(path)) is not None


def advice(path: Path) -> str:
    """What to do where it is not."""
    reader = _reader(path).replace("_", "-")
    extra = "pip install 'seg-toolkit[formats]'" if reader in ("bioio-czi", "bioio-nd2", "bioio-lif") else ""
    return extra or f"pip install {reader}"


def open_vendor(path: Path) -> Raster:
    """The first image of a file, lazy. Raises `InputError` with what to install where its reader is missing."""
    if not readable(path):
        raise InputError(f"reading {path.suffix.lower()} needs a reader that is not installed", path, advice(path))
    with foreign(path):
        logging.getLogger(_reader(path)).addHandler(logging.NullHandler())
        image = import_module(_reader(path)).Reader(path)
        scenes, array = image.scenes, image.dask_data
        if path.suffix.lower() == ".czi" and str(image.dims.order).endswith("S"):
            source: Any = _blue_first(path, image)
        else:
            source = Computed(array, path)
        letters, strange = _letters(str(image.dims.order), array.shape)
        size = image.physical_pixel_sizes
        names = tuple(map(str, image.channel_names or ()))
    lengths = {c: float(v) for c, v in zip("ZYX", (size.Z, size.Y, size.X), strict=True) if v}
    more = () if len(scenes) == 1 else (f"the file holds {len(scenes)} images; the first is read ({scenes[0]})",)
    return Raster(path, source, letters, lengths, more, names, (), len(scenes), path.suffix[1:].upper(), strange)


def _blue_first(path: Path, image: Any) -> NDArray[Any]:
    """The colours of a CZI. Zeiss stores blue first, and the reader gives samples as they are stored; its lazy array
    repeats the first of them."""
    if nbytes(tuple(image.shape), np.dtype(image.dtype)) > EAGER:
        raise InputError("this colour image is too large for its reader", path, "convert it to OME-Zarr or OME-TIFF")
    return np.asarray(image.data)[..., ::-1]


def _letters(order: str, shape: tuple[int, ...]) -> tuple[str, dict[int, str]]:
    strange = {i: c for i, c in enumerate(order) if c not in "TCZYXS"}
    return "".join("!" if i in strange else c for i, c in enumerate(order)), strange


def _reader(path: Path) -> str:
    return READERS.get(path.suffix.lower(), OTHERS)
