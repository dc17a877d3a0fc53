"""An array as its file describes it, and the promise that a damaged file ends in one sentence."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import isfinite, prod
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.errors import InputError, OutOfMemory

SMALL = 2**26
"""Bytes that any file may decode to, however small it is."""
DECODING: tuple[type[Exception], ...] = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    OSError,
    RuntimeError,
    SystemError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)
"""What tifffile, imagecodecs and zarr raise on mutated files; none of them has one error of its own."""
LEAST_UM, MOST_UM = 1e-6, 1e6
"""Micrometres that a voxel may have: a picometre to a metre."""
MICROMETRES = {
    "angstrom": 1e-4,
    "å": 1e-4,
    "nanometer": 1e-3,
    "nm": 1e-3,
    "micrometer": 1.0,
    "micron": 1.0,
    "microns": 1.0,
    "µm": 1.0,
    "μm": 1.0,
    "um": 1.0,
    "\\u00b5m": 1.0,
    "millimeter": 1e3,
    "mm": 1e3,
    "centimeter": 1e4,
    "cm": 1e4,
    "meter": 1e6,
    "m": 1e6,
    "inch": 25400.0,
}
"""Length units of OME-XML, ImageJ and OME-Zarr, lower case."""


@dataclass(frozen=True, eq=False)
class Raster:
    """Voxels and what the file says about them.

    `axes` has one letter per axis of `source`: `TCZYX`, `S` colour samples, `L` layers, `Q` one plane per object, `?`
    where the file does not say. `voxel_size` is in micrometres by axis letter, as far as known. `alpha` says that the
    last sample is an opacity. `images` is how many the file holds, of which this is the first.
    """

    path: Path
    source: Any
    axes: str
    voxel_size: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    channel_names: tuple[str, ...] = ()
    alpha: bool = False
    images: int = 1

    def __post_init__(self) -> None:
        dtype = np.dtype(self.source.dtype)
        if dtype.kind not in "buif" or dtype.itemsize > 8:
            raise InputError(
                f"images of type {dtype} are not supported", self.path, "convert it to 8-, 16- or 32-bit numbers"
            )
        if 0 in self.source.shape:
            raise InputError(f"the image is empty, its shape is {self.source.shape}", self.path, "check the file")
        assert len(self.axes) == len(self.source.shape), (self.axes, self.source.shape)


@contextmanager
def decoding(path: Path, declared: int = 0) -> Iterator[None]:
    """Turn what a decoding library raises on a damaged or unsupported file into one `InputError`.

    `declared` are the bytes that are being decoded: only if they are many is it the machine's memory that is short.
    """
    try:
        yield
    except InputError:
        raise
    except PermissionError as error:
        raise InputError("this image may not be read", path, "check its permissions") from error
    except MemoryError as error:
        if declared <= SMALL:
            raise InputError("this image is damaged or not supported", f"{path} (it asks for more memory than it "
                             "describes)", "check the file") from error  # fmt: skip
        raise OutOfMemory("not enough memory to read this image", path, "convert it to OME-Zarr") from error
    except DECODING as error:
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        raise InputError("this image is damaged or not supported", f"{path} ({reason})", "check the file") from error


def plausible(path: Path, declared: int, stored: int, ratio: int) -> None:
    """Refuse an image that declares far more bytes than its file can hold: no codec gains more than `ratio`."""
    if declared > SMALL and declared > ratio * stored:
        raise InputError(
            f"the image declares {declared / 2**30:.1f} GiB but holds only {stored} bytes", path, "the file is damaged"
        )


def by_shape(shape: tuple[int, ...], dtype: np.dtype[Any]) -> str:
    """Letters of an array about which nothing is known: the last axes are YX, or YX and colour samples."""
    if len(shape) < 2:
        return "?" * len(shape)
    if len(shape) > 2 and shape[-1] in (3, 4) and dtype == np.uint8:
        return "?" * (len(shape) - 3) + "YXS"
    return "?" * (len(shape) - 2) + "YX"


def sizes(values: Mapping[str, object], units: Mapping[str, str]) -> dict[str, float]:
    """Voxel sizes in micrometres from numbers and units per axis; what no microscope has is left out."""
    result = {}
    for letter, value in values.items():
        factor = MICROMETRES.get(units.get(letter, "").strip().lower())
        try:
            number = float(value)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            continue
        if factor is not None and isfinite(number) and LEAST_UM <= number * factor <= MOST_UM:
            result[letter] = number * factor
    return result


def nbytes(shape: tuple[int, ...], dtype: np.dtype[Any]) -> int:
    """Bytes of an array of `shape`."""
    return prod(int(n) for n in shape) * dtype.itemsize
