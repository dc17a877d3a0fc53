"""An array as its file describes it, and the promise that a damaged file ends in one sentence."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any, Literal

import numpy as np

from toolkit.errors import InputError, OutOfMemory, ToolkitError

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
SLIPS = (AssertionError, AttributeError, TypeError)
"""Of these, what our own lines raise only if they are wrong themselves."""


@dataclass(frozen=True, eq=False)
class Raster:
    """Voxels and what the file says about them.

    `axes` has one letter per axis of `source`: `TCZYX`, `S` colour samples, `L` layers, `Q` one plane per object, `?`
    where the file does not say, `!` where it names an axis that is none of these, as `strange` tells by position.
    `voxel_size` is in micrometres by axis letter, as far as known, and `origin` says from where. `opacity` are the
    samples that are none of the image. `images` is how many the file holds, of which this is one. `kind`: what the file
    says that it is. `view` gives what an image shows where that is not what is stored, as with a table of colours.
    `absent` of `chunks` pieces are not stored and read as the fill value.
    """

    path: Path
    source: Any
    axes: str
    voxel_size: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    channel_names: tuple[str, ...] = ()
    opacity: tuple[int, ...] = ()
    images: int = 1
    origin: str = ""
    strange: Mapping[int, str] = field(default_factory=dict)
    kind: Literal["unknown", "image", "labels"] = "unknown"
    view: Callable[[Raster], Raster] | None = None
    absent: int = 0
    chunks: int = 1

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
            raise _damaged(path, MemoryError("it asks for more memory than it describes")) from error
        raise OutOfMemory("not enough memory to read this image", path, "convert it to OME-Zarr") from error
    except DECODING as error:
        if isinstance(error, SLIPS) and _ours(error):
            raise
        raise _damaged(path, error) from error


@contextmanager
def interpreting(path: Path) -> Iterator[None]:
    """Turn what our own lines raise on metadata of a form that nobody foresaw into `InputError`."""
    try:
        yield
    except SLIPS as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> InputError:
    reason = " ".join(str(error).split())[:160] or type(error).__name__
    if isinstance(error, ZeroDivisionError):
        reason = "a width, a height or a number of it is 0"
    return InputError("this image is damaged or not supported", f"{path} ({reason})", "check the file")


def _ours(error: BaseException) -> bool:
    """Whether the line that raised it is one of this package's."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    name = trace.tb_frame.f_globals.get("__name__", "") if trace is not None else ""
    return bool(name.partition(".")[0] == __name__.partition(".")[0])


@contextmanager
def foreign(path: Path) -> Iterator[None]:
    """Like `decoding`, for code that raises errors of its own: any is one `InputError`."""
    try:
        with decoding(path):
            yield
    except (ToolkitError, MemoryError):
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        raise InputError("this image is damaged or not supported", f"{path} ({reason})", "check the file") from error


def plausible(path: Path, declared: int, stored: int, ratio: int) -> None:
    """Refuse an image that declares far more bytes than its file can hold: no codec gains more than `ratio`."""
    if declared > SMALL and declared > ratio * stored:
        raise InputError(
            f"the image declares {declared / 2**30:.1f} GiB but holds only {stored} bytes", path, "the file is damaged"
        )


def by_shape(shape: tuple[int, ...], dtype: np.dtype[Any]) -> str:
    """Letters of an array about which nothing is known: only the colours of 8-bit pixels are sure."""
    colours = len(shape) > 2 and shape[-1] in (3, 4) and dtype == np.uint8
    return "?" * (len(shape) - 3) + "YXS" if colours else "?" * len(shape)


def nbytes(shape: tuple[int, ...], dtype: np.dtype[Any]) -> int:
    """Bytes of an array of `shape`."""
    return prod(int(n) for n in shape) * dtype.itemsize
