"""The image of a result as a pyramid: its frames one after the other, and the coarser levels of its file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit import io
from toolkit.errors import InputError
from toolkit.values.frames import along, planes
from toolkit.values.image import Image
from toolkit.view.pyramid import Pyramid, deep


def pyramid(path: Path, axes: str | None, voxel_size: tuple[float, ...] | None) -> tuple[Pyramid, Image]:
    """The pyramid of an image file, and its first frame. Raises `InputError` if it cannot be read."""
    frames = io.frames(path, axes, voxel_size)
    first = frames[0]
    whole = along(frames) if len(frames) == 1 or first.ndim == 3 else planes(frames)
    coarser = _coarser(path, whole) if len(frames) == 1 and path.is_dir() else []
    return Pyramid([(whole, (1, 1, 1)), *coarser]), first


def fielded(source: Any, shape: tuple[int, ...]) -> Any:
    """A field of objects of `shape` as `(C, Y, X)` or `(C, A, Y, X)`; None if it is none. Those of a time series are
    stored frame by frame, `(T, C, …)`."""
    stored = tuple(int(n) for n in source.shape)
    if stored[1:] == shape:
        return source
    return _Series(source) if (stored[0], *stored[2:]) == shape else None


@dataclass(frozen=True, eq=False)
class _Series:
    """An array `(T, C, (Z), Y, X)` as `(C, T·Z, Y, X)`."""

    source: Any

    @property
    def dtype(self) -> np.dtype[Any]:
        dtype: np.dtype[Any] = np.dtype(self.source.dtype)
        return dtype

    @property
    def shape(self) -> tuple[int, ...]:
        frames, channels, *planes, height, width = map(int, self.source.shape)
        return (channels, frames * int(np.prod(planes, dtype=np.int64)), height, width)

    def __getitem__(self, key: tuple[slice, ...]) -> NDArray[Any]:
        depth = self.shape[1] // int(self.source.shape[0])
        place = [(z // depth, key[0], *([z % depth] if len(self.source.shape) == 5 else []), *key[2:])
                 for z in range(self.shape[1])[key[1]]]  # fmt: skip
        return np.stack([np.asarray(self.source[at]) for at in place], axis=1)


def levels_of(path: Path) -> list[str]:
    """The names of the arrays of an OME-Zarr image."""
    from toolkit.io.omezarr import levels

    return levels(path)


def _coarser(path: Path, image: Image) -> list[tuple[Image, tuple[int, int, int]]]:
    """The levels of an OME-Zarr that are the image at half, a quarter … of its voxels along some axes."""
    from toolkit.io.image import open_raster

    letters, full, found = open_raster(path).axes, deep(image.shape), []
    for name in levels_of(path):
        try:
            level = io.read(path / name, letters)
        except InputError:  # a level is a convenience: without it the image is averaged
            continue
        small = deep(level.shape)
        by = tuple(2 ** round(float(np.log2(a / b))) for a, b in zip(full, small, strict=True))
        fits = all(abs(b * n - a) < b for a, b, n in zip(full, by, small, strict=True))
        if fits and max(by) > 1 and level.channels == image.channels:
            found.append((level, (int(by[0]), int(by[1]), int(by[2]))))
    return found
