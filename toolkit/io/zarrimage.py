"""The image of a result at the root of its Zarr, so that any viewer of OME-Zarr has it under the labels."""
# Imported only where a Zarr is written.

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.io.omeformat import OmeFormat, multiscales
from toolkit.values.image import Image
from toolkit.values.tiles import Box, boxes

COPIED = 2**28
"""Bytes of the largest image that is copied."""
LOOKED_AT = 2**23
"""Voxels from which the contrast is taken."""
CHUNK = {2: (1024, 1024), 3: (32, 256, 256)}
COLOURS = ("FFFFFF", "00FF66", "FF33CC", "33BBFF", "FFCC00", "FF5533", "9977FF", "00FFEE")
RGB = ("FF0000", "00FF00", "0000FF")


def copied(image: Image, frames: int | None) -> bool:
    """Whether an image, or so many frames of its series, is there and small enough to be copied."""
    whole = frames is None or image.series is not None
    return whole and (frames or 1) * image.channels * prod(image.shape) * image.dtype.itemsize <= COPIED


def write_image(root: Any, image: Image, frames: int | None, steps: Sequence[tuple[int, ...]], form: OmeFormat) -> None:
    """Write the levels `0`, `1` … of an image, or of so many `frames` of its series, `(T)C(Z)YX`; `steps` are voxels
    per voxel along its axes of space. A coarser level is the mean."""
    axes = "T" * (frames is not None) + "C" + image.axes[1:]
    size = image.voxel_size if image.calibrated else None
    dtype = np.dtype(np.uint8) if image.dtype == np.bool_ else image.dtype
    lead = (*([] if frames is None else [frames]), image.channels)
    for level, step in enumerate(steps):
        shape = tuple(-(-n // s) for n, s in zip(image.shape, step, strict=True))
        chunks = ((1,) * len(lead)) + tuple(min(c, n) for c, n in zip(CHUNK[len(shape)], shape, strict=True))
        array = form.array(root, str(level), (*lead, *shape), dtype, chunks, axes.lower())
        for frame in range(frames or 1):
            where = () if frames is None else (frame,)
            for box in boxes(shape, chunks[len(lead) :]):
                array[(*where, slice(None), *box.slices)] = _mean(_of_frame(image, frame), box, step, dtype)
    smallest = root[str(len(steps) - 1)]
    thin = -(-prod(smallest.shape) // LOOKED_AT)
    last = np.asarray(smallest[..., ::thin]).reshape(-1, image.channels, *shape[:-1], -(-shape[-1] // thin))
    wide = [(1,) * len(lead) + step for step in steps]
    form.say(root, {"multiscales": [multiscales(image.name, axes, wide, size, "mean")], "omero": _shown(image, last)})


Read = Callable[[Box], NDArray[Any]]


def _of_frame(image: Image, frame: int) -> Read:
    """How to read a box of a frame: all frames of a series are one after the other along its first axis."""
    series, first = image.series or image, frame * image.shape[0]

    def read(box: Box) -> NDArray[Any]:
        start, stop = (first + box.start[0], *box.start[1:]), (first + box.stop[0], *box.stop[1:])
        return series.read(Box(start, stop))

    return read


def _mean(read: Read, box: Box, step: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """The voxels of a level in `box`, each the mean of those that it stands for."""
    if all(s == 1 for s in step):
        return np.asarray(read(box)).astype(dtype)
    fine = Box(tuple(a * s for a, s in zip(box.start, step, strict=True)),
               tuple(b * s for b, s in zip(box.stop, step, strict=True)))  # fmt: skip
    voxels = read(fine)
    if (sums := _halved(voxels, step)) is not None:
        return np.asarray(np.rint(sums / prod(step)), dtype)
    voxels = np.nan_to_num(voxels, nan=0, posinf=0, neginf=0) if voxels.dtype.kind == "f" else voxels
    for axis, s in enumerate(step, start=1):
        first = np.arange(0, voxels.shape[axis], s)
        count = np.diff(first, append=voxels.shape[axis]).reshape(-1, *(1,) * (voxels.ndim - 1 - axis))
        voxels = np.add.reduceat(voxels, first, axis=axis, dtype=np.float64) / count
    return np.asarray(np.rint(voxels) if dtype.kind in "iu" else voxels, dtype)


def _halved(voxels: NDArray[Any], step: tuple[int, ...]) -> NDArray[Any] | None:
    """The sums of those voxels for which one stands, neighbours at a time, many times as fast as `reduceat`; None
    unless they are small whole numbers, and so many that powers of 2 divide them."""
    if voxels.dtype.kind not in "iu" or voxels.dtype.itemsize > 2 or prod(step) > 2**15:
        return None
    if any(s & (s - 1) or n % s for n, s in zip(voxels.shape[1:], step, strict=True)):
        return None
    sums = voxels
    for axis, s in enumerate(step, start=1):
        for _ in range(s.bit_length() - 1):
            even, odd = ((slice(None),) * axis + (slice(first, None, 2),) for first in (0, 1))
            sums = np.add(sums[even], sums[odd], dtype=np.int32)
    return sums


def _shown(image: Image, small: NDArray[Any]) -> dict[str, Any]:
    """What OMERO's viewers want to know: names, colours and contrast of the channels."""
    picture = image.channels == 3 and image.dtype == np.uint8
    palette = RGB if picture else COLOURS
    found = []
    for number in range(image.channels):
        values = small[:, number][np.isfinite(small[:, number])].astype(np.float64)
        low, high = (0.0, 255.0) if picture or not len(values) else np.percentile(values, (0.5, 99.8)).tolist()
        ends = (float(values.min()), float(values.max())) if len(values) else (0.0, 255.0)
        window = {"min": min(ends[0], low), "max": max(ends[1], high, low + 1e-6), "start": low,
                  "end": max(high, low + 1e-6)}  # fmt: skip
        name = image.channel_names[number] if number < len(image.channel_names) else ""
        found.append({"label": name or f"channel {number}", "color": palette[number % len(palette)], "window": window,
                      "active": True, "coefficient": 1.0, "family": "linear", "inverted": False})  # fmt: skip
    return {"channels": found, "rdefs": {"model": "color" if image.channels > 1 else "greyscale"}}
