"""What a network sees of an image: some channels, luminance or a stain. Pointwise and lazy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import InputError, UsageError
from toolkit.values.image import Image
from toolkit.values.tiles import Box

LUMINANCE = (0.2126, 0.7152, 0.0722)
"""Weights of red, green and blue in ITU-R BT.709."""
RGB = ("red", "green", "blue")
DEPTHS = (255.0, 1023.0, 4095.0, 16383.0, 65535.0)
"""Largest values of the numbers of bits that cameras have."""
SAMPLE = 2**22
"""Voxels per channel from which it is told what a channel shows; a larger image is looked at in pieces."""
PIECE = 256
"""Sides of such a piece."""
STAINS = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]])
"""Optical density in red, green and blue of haematoxylin, eosin and DAB (Ruifrok and Johnston 2001)."""


def select(image: Image, channels: Sequence[int] | Literal["all", "grey", "haematoxylin"]) -> Image:
    """The image with these channels only, in this order; "all" is the image itself.

    "grey": luminance of RGB as float32 in the range of the file. "haematoxylin": amount of that stain in RGB, float32,
    ≥ 0, bright on dark, by colour deconvolution (Ruifrok and Johnston 2001, equation 5); values are a fraction of
    `full`. Channels that are named red, green and blue may lie in any order. An image of one channel stands for itself
    under both. Raises `InputError` if the image does not have the channels.
    """
    if isinstance(channels, str):
        return _mixed(image, channels)
    if not channels:
        raise UsageError("no channel is chosen", image.name, "choose with --channel")
    missing = [c for c in channels if not 0 <= c < image.channels]
    if missing:
        has = "1 channel" if image.channels == 1 else f"{image.channels} channels"
        raise InputError(
            f"there is no channel {missing[0]}, the image has {has}, counted from 0",
            image.name,
            "choose with --channel",
        )
    if tuple(channels) == tuple(range(image.channels)):
        return image
    names = tuple(image.channel_names[c] for c in channels) if image.channel_names else ()
    source = _Picked(image.source, tuple(channels), (len(channels), *image.shape), image.dtype)
    return replace(image, source=source, channel_names=names)


def _mixed(image: Image, how: Literal["all", "grey", "haematoxylin"]) -> Image:
    if how == "all" or image.channels == 1:  # grey stands for itself
        return image
    if image.channels != 3:
        has = "1 channel" if image.channels == 1 else f"{image.channels} channels"
        raise InputError(
            f"{how} needs red, green and blue, but the image has {has}",
            image.name,
            "choose a channel with --channel",
        )
    image = _ordered(image)
    if how == "grey":
        return image.map(1, np.float32, _luminance)
    # A frame is seen in the light of its series, from which its scale comes too.
    light = DEPTHS[0] if image.dtype == np.uint8 else full(look(image.series or image))
    return image.map(1, np.float32, partial(_haematoxylin, light=light))


def _ordered(image: Image) -> Image:
    """Red, green and blue in this order, where the channels have these names."""
    names = [name.casefold().strip() for name in image.channel_names]
    return select(image, [names.index(name) for name in RGB]) if sorted(names) == sorted(RGB) else image


def full(sample: NDArray[Any]) -> float:
    """The value of full light in colours: the largest one of 8, 10, 12, 14 or 16 bits, for floats also 1, that no value
    of a sample exceeds."""
    if sample.dtype == np.uint8:
        return DEPTHS[0]
    most = float(np.max(sample, where=np.isfinite(sample), initial=0))
    steps = ((1.0,) if sample.dtype.kind == "f" else ()) + DEPTHS
    return next((step for step in steps if most <= step), most)


def look(image: Image) -> NDArray[Any]:
    """Voxels `(C, N)` of the image, or of pieces that lie evenly in it."""
    if Box.whole(image.shape).size <= SAMPLE:
        return image.read().reshape(image.channels, -1)
    piece = tuple(min(n, PIECE if d >= image.ndim - 2 else 1) for d, n in enumerate(image.shape))
    most = max(1, round((SAMPLE / PIECE**2) ** (1 / image.ndim)))
    starts = [np.unique(np.linspace(0, n - p, most).astype(int)) for n, p in zip(image.shape, piece, strict=True)]
    corners = np.stack(np.meshgrid(*starts, indexing="ij"), -1).reshape(-1, image.ndim)
    boxes = [Box(tuple(map(int, c)), tuple(int(a + p) for a, p in zip(c, piece, strict=True))) for c in corners]
    return np.concatenate([image.read(box).reshape(image.channels, -1) for box in boxes], axis=1)


def _luminance(voxels: NDArray[Any]) -> NDArray[np.float32]:
    return np.tensordot(np.array(LUMINANCE, np.float32), voxels.astype(np.float32), axes=1)[None]


def _haematoxylin(voxels: NDArray[Any], light: float) -> NDArray[np.float32]:
    shares = np.maximum(voxels.astype(np.float32) / np.float32(light), np.float32(1e-6))
    # Absorbances add up over stains (Beer and Lambert), so the inverse of their colours tells the amounts.
    absorbance = np.log(shares) / np.float32(np.log(1e-6))
    unmix = np.linalg.inv(STAINS)[:, 0].astype(np.float32)
    return np.maximum(np.tensordot(unmix, absorbance, axes=1), np.float32(0))[None]


@dataclass(frozen=True, eq=False)
class _Picked:
    """Some channels of a lazy array; the others are never read."""

    source: Any
    channels: tuple[int, ...]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def __getitem__(self, key: tuple[slice, ...]) -> NDArray[Any]:
        wanted = self.channels[key[0]]
        return np.concatenate([np.asarray(self.source[(slice(c, c + 1), *key[1:])]) for c in wanted])
