"""TIFF files: plain, ImageJ and OME."""

from __future__ import annotations

import logging
import weakref
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from toolkit.errors import InputError
from toolkit.io import ometiff
from toolkit.io.calibration import calibration, channel_names
from toolkit.io.intact import complete, follow
from toolkit.io.ometiff import Told
from toolkit.io.omexml import Described
from toolkit.io.orientation import TURNED
from toolkit.io.raster import Raster, by_shape, decoding, interpreting, nbytes
from toolkit.io.view import coloured, eight_bit, inverted

EAGER = 2**29
"""Compressed images of more bytes are decoded piece by piece when they are needed."""
MAPPED = 2**26
"""Uncompressed images of more bytes are mapped into memory, read only."""
FEW = 16
"""An axis of fewer entries after two of at least as many is one of channels."""
ORIENTATION, INKS = 274, 332
"""Tags. 1, which they are where there are none, says that the first voxel is at the top left, and CMYK."""
LAB = (tifffile.PHOTOMETRIC.CIELAB, tifffile.PHOTOMETRIC.ICCLAB, tifffile.PHOTOMETRIC.ITULAB)
AXES = tifffile.TIFF.AXES_NAMES
"""Names of tifffile's axis letters."""

# tifffile logs what is odd about a file; what matters to the user is raised or noted instead.
logging.getLogger("tifffile").addHandler(logging.NullHandler())


def open_tiff(path: Path) -> Raster:
    """One image of a TIFF at full resolution, lazy if it is large: the first, or that of an OME-TIFF set to which the
    file belongs."""
    with decoding(path):
        follow(path)
    with decoding(path), tifffile.TiffFile(path, mode="r", _multifile=False) as tif:
        if not tif.series or tif.series[0].dtype is None:
            raise InputError("this TIFF holds no image", path, "check the file")
        with interpreting(path):
            ome = ometiff.told(path, tif) if tif.is_ome else ""
        if isinstance(ome, Told) and ome.files == (path,) and not ome.fits(tif.pages.first):
            ome = "its OME-XML describes an image of another size"
        notes = (f"{ome}; it was read page by page",) if isinstance(ome, str) and ome else ()
        if isinstance(ome, Told) and (ome.files != (path,) or tif.series[0].kind != "ome"):
            return _viewed(of_planes(path, ome), tif.pages.first)
        series, count, more = _full(tif.series)
        return _viewed(_of_series(path, tif, series, count, ome, (*notes, *more)), series.keyframe)


def of_planes(path: Path, ome: Told) -> Raster:
    """The image of an OME-TIFF set; `path` is one of its files, or its companion."""
    source, letters = ometiff.open_planes(path, ome, EAGER)
    page = ome.first_page()
    return _named(Raster(path, source, letters, notes=ome.notes, images=ome.images, opacity=_opacity(page)), ome.image)


def _of_series(path: Path, tif: Any, series: Any, count: int, ome: Told | str, notes: tuple[str, ...]) -> Raster:
    declared = nbytes(series.shape, series.dtype)
    with interpreting(path):
        complete(path, tif, series, declared)
        names = _told(tif, series.kind)
        size, origin = calibration(tif, series.keyframe)
    pieces = series.dataoffset is None and declared > EAGER
    letters, shape = series.get_axes(squeeze=pieces), series.get_shape(squeeze=pieces)
    with decoding(path, declared):
        if series.kind == "imagej" and len(series.pages) > 1 and not pieces:
            source, more = _declared(path, series, shape)
            notes = (*notes, *more)
        else:
            number = [s is series for s in tif.series].index(True)
            source = _pieces(path, number) if pieces else _voxels(path, series, shape)
    letters, strange = _letters(letters, shape, series.dtype, names)
    absent, chunks = _stored(series)
    if series.keyframe.tags.valueof(ORIENTATION, 1) in range(2, 9):
        notes = (*notes, TURNED)
    raster = Raster(path, source, letters, notes=notes, images=count, opacity=_opacity(series.keyframe),
                    strange=strange, absent=absent, chunks=chunks)  # fmt: skip
    if series.kind in ("ome", "imagej"):
        raster = _without_void(raster)
    if isinstance(ome, Told):
        return _named(raster, ome.image)
    channels = prod(n for c, n in zip(raster.axes, raster.source.shape, strict=True) if c in "CS")
    with interpreting(path):
        return replace(raster, voxel_size=size, origin=origin, channel_names=channel_names(tif, channels))


def _stored(series: Any) -> tuple[int, int]:
    """How many strips or tiles are not stored, which read as 0, of how many there are."""
    if series.dataoffset is not None:
        return 0, 1
    sizes = [n for page in series.pages if page is not None for n in page.databytecounts]
    return sizes.count(0), len(sizes)


def _named(raster: Raster, image: Described) -> Raster:
    """With what OME-XML says. Only the toolkit writes layers of labels, as channels with these names."""
    names = image.channel_names
    layers = bool(names) and all(name == f"layer-{n}" for n, name in enumerate(names))
    axes = raster.axes.replace("C", "L") if layers and len(names) > 1 else raster.axes
    raster = replace(raster, axes=axes, voxel_size=image.voxel_size, origin="OME-XML", channel_names=names)
    return _without_void(replace(raster, kind="labels" if layers else "unknown"))


def _without_void(raster: Raster) -> Raster:
    """Without axes of time and samples of one entry, which OME and ImageJ always have."""
    shape = raster.source.shape
    void = tuple(i for i, c in enumerate(raster.axes) if c in "TS" and shape[i] == 1)
    if not void or not isinstance(raster.source, np.ndarray):
        return raster
    axes = "".join(c for i, c in enumerate(raster.axes) if i not in void)
    return replace(raster, source=np.squeeze(raster.source, void), axes=axes)


def _full(series: list[Any]) -> tuple[Any, int, tuple[str, ...]]:
    """The series to read, how many images there are, and a note: pages that are copies at lower resolution, as they
    say or as their sizes say, are no images."""
    own = [s for s in series if not s.keyframe.is_reduced] or series
    largest = max(own, key=lambda s: prod(s.shape))
    if len(own) > 1 and all(s is largest or _smaller(s, largest) for s in own):
        return largest, 1, (f"the file holds one image in {len(own)} sizes; the largest is read",)
    more = () if len(own) == 1 else (f"the file holds {len(own)} images; the first is read",)
    return own[0], len(own), more


def _smaller(series: Any, largest: Any) -> bool:
    """Whether one is the other, shrunk by a whole number."""
    if series.dtype != largest.dtype or series.axes != largest.axes:
        return False
    sides = [
        (big, small, c) for c, big, small in zip(largest.axes, largest.shape, series.shape, strict=True) if big != small
    ]
    factors = {round(big / small) for big, small, _ in sides}
    if not sides or len(factors) > 1 or min(factors) < 2 or {c for *_, c in sides} - {*"YX"}:
        return False
    return all(abs(small - big / min(factors)) <= 1 for big, small, _ in sides)


def _opacity(page: Any) -> tuple[int, ...]:
    """Samples that are opacity: only the values 1 and 2 of ExtraSamples say so, 0 is data."""
    extra = tuple(int(v) for v in page.extrasamples or ())
    first = int(page.samplesperpixel) - len(extra)
    return tuple(first + i for i, v in enumerate(extra) if v in (1, 2))


def _viewed(raster: Raster, page: Any) -> Raster:
    """With what an image of this photometric interpretation shows.

    Raises `InputError` for inks and for what is no light: they would be read as red, green and blue.
    """
    inks = page.photometric == tifffile.PHOTOMETRIC.SEPARATED and page.tags.valueof(INKS, 1) == 1
    if inks or page.photometric in LAB:
        raise InputError(f"its colours are {'inks (CMYK)' if inks else 'CIE L*a*b*'}, not light", raster.path,
                         "save it as RGB")  # fmt: skip
    if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE:
        return replace(raster, view=partial(inverted, bits=int(page.bitspersample)))
    if page.photometric == tifffile.PHOTOMETRIC.PALETTE and page.colormap is not None and not page.parent.is_imagej:
        return replace(raster, view=partial(coloured, table=eight_bit(page.colormap.T)))
    return raster


def _told(tif: Any, kind: str) -> bool:
    """Whether the file names its axes; else tifffile makes them up."""
    if kind == "shaped":
        return "axes" in tif.shaped_metadata[0]
    return kind not in ("generic", "uniform")


def _letters(letters: str, shape: tuple[int, ...], dtype: np.dtype[Any], told: bool) -> tuple[str, dict[int, str]]:
    """Axis letters, and the names of those axes that images here do not have."""
    if not told:
        small = "S" not in letters and len(shape) > 2 and shape[-1] < FEW <= min(shape[-3:-1])
        return ("?" * len(shape) if small else "".join(c if c in "SYX" else "?" for c in letters)), {}
    if not {"Y", "X"} <= set(letters):
        return by_shape(shape, dtype), {}
    strange = {i: str(AXES[c]) for i, c in enumerate(letters) if c in AXES and c not in "TCZYXSLIQ"}
    return "".join("!" if i in strange else c if c in "TCZYXSLQ" else "?" for i, c in enumerate(letters)), strange


def _declared(path: Path, series: Any, shape: tuple[int, ...]) -> tuple[Any, tuple[str, ...]]:
    """ImageJ's images, as many as it declares, where the file holds more pages."""
    pages, wanted = series.pages, prod(shape) // max(1, prod(series.keyframe.shape))
    if len(pages) <= wanted:
        return _voxels(path, series, shape), ()
    voxels = np.stack([page.asarray(maxworkers=1) for page in pages[:wanted]]).reshape(shape)
    return voxels, (f"the file holds {len(pages)} pages; ImageJ's description speaks of {wanted}, which are read",)


def _voxels(path: Path, series: Any, shape: tuple[int, ...]) -> Any:
    if series.dataoffset is not None and nbytes(shape, series.dtype) > MAPPED:
        dtype = series.dtype.newbyteorder(series.parent.byteorder)
        return np.memmap(path, dtype, "r", series.dataoffset, shape)
    voxels = series.asarray(maxworkers=1)
    return voxels.astype(voxels.dtype.newbyteorder("="), copy=False).reshape(shape)


def _pieces(path: Path, number: int) -> Any:
    """The image as a Zarr array whose strips and tiles are decoded when they are needed."""
    import zarr

    with ExitStack() as files:
        store = tifffile.imread(path, aszarr=True, series=number, level=0, _multifile=False, maxworkers=1)
        files.callback(store.close)
        array = zarr.open_array(store, mode="r")
        weakref.finalize(array, files.pop_all().close)
        return array
