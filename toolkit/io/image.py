"""Read an image."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from pathlib import Path

from toolkit.errors import InputError, UsageError
from toolkit.io.axes import arrange, checked, named
from toolkit.io.paths import stem
from toolkit.io.raster import LEAST_UM, MOST_UM, Raster
from toolkit.values.image import Image


def read(path: str | Path, axes: str | None = None, voxel_size: Sequence[float] | None = None) -> Image:
    """A TIFF, PNG or OME-Zarr image, lazy where it is large; the file is never altered.

    `axes` names the axes of the file ("YX", "CZYX", "YXC" …; a file without the channel axis is read without it);
    default: what the file says, else what its shape suggests, with a note. `voxel_size` is in micrometres per spatial
    axis of the image; default: what the file says, else 1.0 and `calibrated = False`. An opacity channel is dropped.
    Raises `InputError` for a missing, damaged or unsupported file and for axes that do not fit it.
    """
    path = Path(path)
    raster = open_raster(path)
    letters, notes = named(raster, None if axes is None else checked(axes, "C"), "C")
    order = "CZYX" if "Z" in letters else "CYX"
    channels = None
    if raster.alpha and "C" in letters:
        channels = raster.source.shape[letters.index("C")] - 1
        notes = (*notes, "the opacity channel was dropped")
    source = arrange(path, raster.source, letters, order, channels)
    size, calibrated = measured(raster, order[1:], voxel_size)
    names = raster.channel_names if len(raster.channel_names) == source.shape[0] else ()
    return Image(source, order, size, stem(path), calibrated, notes, names)


def open_raster(path: Path) -> Raster:
    """The voxels of a file and what it says about them; the format is known by content, not by name."""
    if path.is_dir():
        from toolkit.io.omezarr import open_zarr

        return open_zarr(path)
    try:
        if path.exists() and not path.is_file():
            raise InputError("this is no file but a pipe or a device", path, "copy what it gives into a file")
        with path.open("rb") as file:
            head = file.read(8)
    except FileNotFoundError as error:
        raise InputError("no such file", path, "check the path") from error
    except OSError as error:
        raise InputError("this file cannot be read", path, error.strerror or "check it") from error
    if not head:
        raise InputError("this file is empty", path, "copy it again")
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        from toolkit.io.tiff import open_tiff

        return open_tiff(path)
    if head.startswith(b"\x89PNG"):
        from toolkit.io.png import open_png

        return open_png(path)
    raise InputError("this file is no TIFF, PNG or OME-Zarr", path, "convert it to one of them")


def measured(raster: Raster, spatial: str, given: Sequence[float] | None) -> tuple[tuple[float, ...], bool]:
    """Voxel size in micrometres per axis of `spatial`, and whether it is known."""
    if given:
        if len(given) != len(spatial):
            raise InputError(
                f"the voxel size has {len(given)} numbers and the image has {len(spatial)} spatial axes",
                raster.path,
                f"give one number for each of {spatial}",
            )
        if not all(isfinite(v) and LEAST_UM <= v <= MOST_UM for v in given):
            raise UsageError("a voxel size must be positive, from a picometre to a metre", tuple(given), "give micrometres per axis")
        return tuple(float(v) for v in given), True
    if all(c in raster.voxel_size for c in spatial):
        return tuple(raster.voxel_size[c] for c in spatial), True
    return (1.0,) * len(spatial), False
