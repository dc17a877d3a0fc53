"""Read an image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import isfinite
from pathlib import Path

from toolkit.errors import InputError, UsageError
from toolkit.io.axes import arrange, checked, named
from toolkit.io.paths import COMPANION, is_vendor, is_zarr, local, stem
from toolkit.io.raster import Raster
from toolkit.io.units import LEAST, MOST
from toolkit.values.frames import along
from toolkit.values.image import Image


def read(
    path: str | Path,
    axes: str | None = None,
    voxel_size: Sequence[float] | None = None,
    frame: int | None = None,
) -> Image:
    """An image file or OME-Zarr, lazy where it is large; the file is never altered. TIFF, PNG, JPEG and BMP are read,
    and what `bioio` reads where it is installed.

    `axes` names the axes of the file ("YX", "CZYX", "YXC" …; a file without the channel axis is read without it);
    default: what the file says, else what its shape suggests, with a note. `voxel_size` is in micrometres per spatial
    axis of the image; default: what the file says, else 1.0 and `calibrated = False`. Opacity is dropped. `frame` is
    which image of a time series, from 0. Raises `InputError` for a missing, damaged or unsupported file, for axes that
    do not fit it, and for a time series of which no frame is named.
    """
    images = frames(path, axes, voxel_size)
    if frame is not None and not 0 <= frame < len(images):
        raise InputError(f"there is no frame {frame}, the file has {len(images)}, counted from 0", path)
    if frame is None and len(images) > 1:
        raise InputError(
            f"this is a time series of {len(images)} images", path, "split it, or give --axes if T is another axis"
        )
    return images[frame or 0]


def frames(path: str | Path, axes: str | None = None, voxel_size: Sequence[float] | None = None) -> tuple[Image, ...]:
    """All images of a time series, in order; one image of what is none. See `read`."""
    raster = open_raster(local(path))
    return frames_of(raster.view(raster) if raster.view else raster, axes, voxel_size)


def frames_of(raster: Raster, axes: str | None, voxel_size: Sequence[float] | None) -> tuple[Image, ...]:
    """The images of a file or an array that is open."""
    letters, notes = named(raster, None if axes is None else checked(axes, "C"), "C")
    order = "CZYX" if "Z" in letters else "CYX"
    channels = None
    if raster.opacity and raster.axes[letters.find("C")] == "S":
        count = raster.source.shape[letters.index("C")]
        channels = tuple(c for c in range(count) if c not in raster.opacity)
        notes = (*notes, "the opacity channel was dropped")
    size, calibrated = measured(raster, order[1:], voxel_size)
    if not calibrated and raster.voxel_size.keys() >= {*"YX"}:
        notes = (*notes, "the file tells the size of a pixel but not the distance of slices; say --voxel-size")
    if raster.absent:
        notes = (*notes, f"{raster.absent} of {raster.chunks} chunks are not stored and read as empty")
    origin = "--voxel-size" if voxel_size else raster.origin if calibrated else ""
    count = raster.source.shape[letters.index("T")] if "T" in letters else 1
    series = []
    for frame in range(count):
        source = arrange(raster.path, raster.source, letters, order, channels, frame)
        names = raster.channel_names if len(raster.channel_names) == source.shape[0] else ()
        series.append(Image(source, order, size, stem(raster.path), calibrated, notes, names, origin, raster.absent))
    if count == 1:
        return (series[0],)
    whole = along(series)
    return tuple(replace(image, series=whole) for image in series)


def open_raster(path: Path) -> Raster:
    """The voxels of a file and what it says about them; the format is known by content, not by name."""
    if path.is_dir():
        from toolkit.io.omezarr import open_zarr

        if not is_zarr(path) and not (path / ".zmetadata").is_file():
            raise InputError("this folder is no image", path, "name a file in it, or a folder of OME-Zarr")
        return open_zarr(path)
    if path.exists() and not path.is_file():
        raise InputError("this is no file but a pipe or a device", path, "copy what it gives into a file")
    try:
        with path.open("rb") as file:
            head = file.read(8)
    except FileNotFoundError as error:
        raise InputError("no such file", path, "check the path") from error
    except OSError as error:
        raise InputError("this file cannot be read", path, error.strerror or "check it") from error
    if not head:
        raise InputError("this file is empty", path, "copy it again")
    if path.name.lower().endswith(COMPANION):
        from toolkit.io.ometiff import of_companion
        from toolkit.io.tiff import of_planes

        return of_planes(path, of_companion(path))
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        from toolkit.io.tiff import open_tiff

        return open_tiff(path)
    if head.startswith((b"\x89PNG", b"\xff\xd8\xff", b"BM")):
        from toolkit.io.picture import open_picture

        return open_picture(path)
    if is_vendor(path):
        from toolkit.io.vendor import open_vendor

        return open_vendor(path)
    raise InputError("this file is no TIFF, PNG, JPEG, BMP or OME-Zarr", path, "convert it to one of them")


def measured(raster: Raster, spatial: str, given: Sequence[float] | None) -> tuple[tuple[float, ...], bool]:
    """Voxel size in micrometres per axis of `spatial`, and whether it is known."""
    if given:
        if len(given) != len(spatial):
            raise InputError(
                f"the voxel size has {len(given)} numbers and the image has {len(spatial)} spatial axes",
                raster.path,
                f"give one number for each of {spatial}",
            )
        if not all(isfinite(v) and LEAST <= v <= MOST for v in given):
            where = tuple(given)
            raise UsageError("a voxel size must be positive, up to a metre", where, "give micrometres per axis")
        return tuple(float(v) for v in given), True
    if all(c in raster.voxel_size for c in spatial):
        return tuple(raster.voxel_size[c] for c in spatial), True
    return (1.0,) * len(spatial), False
