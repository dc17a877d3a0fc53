"""A lazy image: channels first, then space, with axes and voxel size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.values.tiles import Box


@dataclass(frozen=True, eq=False)
class Image:
    """Lazy array `(C, *spatial)`.

    `source[(slice, …)]` gives the voxels of a box as NumPy; any array works. `axes` names the axes of `source`, always
    "CYX" or "CZYX". `voxel_size` is in micrometres per spatial axis; 1.0 with `calibrated = False` where unknown.
    `notes` are sentences for the user about what was assumed when the file was read, `origin` says where the voxel size
    comes from, and `absent` pieces of the file are not stored and read as empty. `seen` tells which channels of a file
    these are. `series` is all of the time series of which this is a frame.
    """

    source: Any
    axes: str
    voxel_size: tuple[float, ...] = ()
    name: str = "image"
    calibrated: bool = False
    notes: tuple[str, ...] = ()
    channel_names: tuple[str, ...] = field(default=())
    origin: str = ""
    absent: int = 0
    seen: str = ""
    series: Image | None = None

    def __post_init__(self) -> None:
        assert self.axes in ("CYX", "CZYX"), self.axes
        assert len(self.source.shape) == len(self.axes), (self.axes, self.source.shape)
        if not self.voxel_size:
            object.__setattr__(self, "voxel_size", (1.0,) * (len(self.axes) - 1))

    @classmethod
    def from_array(cls, array: NDArray[Any], axes: str | None = None, **about: Any) -> Image:
        """Wrap an array in memory. Without `axes`, 2-D is YX and 3-D is ZYX; a missing channel axis is added."""
        axes = axes or "ZYX"[-array.ndim :]
        return cls(array if "C" in axes else array[None], axes if "C" in axes else "C" + axes, **about)

    @property
    def shape(self) -> tuple[int, ...]:
        """Spatial shape, `(Z)YX`."""
        return tuple(int(n) for n in self.source.shape[1:])

    @property
    def channels(self) -> int:
        return int(self.source.shape[0])

    @property
    def dtype(self) -> np.dtype[Any]:
        kind: np.dtype[Any] = np.dtype(self.source.dtype)
        return kind

    @property
    def ndim(self) -> int:
        """Number of spatial axes."""
        return len(self.axes) - 1

    def read(self, box: Box | None = None) -> NDArray[Any]:
        """The voxels of `box` (default: all), `(C, *box.shape)`, in the file's dtype."""
        box = Box.whole(self.shape) if box is None else box
        return np.asarray(self.source[(slice(None), *box.slices)])

    def read_reflected(self, box: Box) -> NDArray[Any]:
        """Like `read`, for a box that reaches beyond the image: the image is mirrored at its borders."""
        if box in Box.whole(self.shape):
            return self.read(box)
        # Mirroring the whole image and mirroring a part of it agree only if every mirrored voxel is in that part.
        index = [_mirror(np.arange(a, b), n) for a, b, n in zip(box.start, box.stop, self.shape, strict=True)]
        inner = Box(tuple(int(i.min()) for i in index), tuple(int(i.max()) + 1 for i in index))
        voxels = self.read(inner)
        for axis, (i, start) in enumerate(zip(index, inner.start, strict=True), start=1):
            voxels = np.take(voxels, i - start, axis=axis)
        return voxels

    def map(self, channels: int, dtype: Any, fn: Callable[[NDArray[Any]], NDArray[Any]]) -> Image:
        """A lazy image whose voxels are `fn` of these, channel-wise or across channels but never across space."""
        source = _Mapped(self.source, (channels, *self.shape), np.dtype(dtype), fn)
        return replace(self, source=source, channel_names=())


@dataclass(frozen=True, eq=False)
class _Mapped:
    source: Any
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fn: Callable[[NDArray[Any]], NDArray[Any]]

    def __getitem__(self, key: tuple[slice, ...]) -> NDArray[Any]:
        return self.fn(np.asarray(self.source[(slice(None), *key[1:])]))[key[0]]


def _mirror(index: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Indices into an axis of `size` voxels, mirrored without repeating the border voxel."""
    if size == 1:
        return np.zeros_like(index)
    period = 2 * (size - 1)
    folded = np.mod(index, period)
    return np.where(folded < size, folded, period - folded)
