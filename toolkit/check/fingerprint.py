"""Recognise an image that occurs twice: a thumbnail that survives other intensities, and marks that survive a cut."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

SIDE = 64
"""Pixels of a thumbnail along each axis; images of three axes are looked at along the first."""
BLUR = 9
"""Side of the box whose mean is subtracted from a thumbnail: shading says nothing about what is seen."""
PATCH = 16
"""Side of the patches whose content is a mark."""
RARE = 512
"""One pixel in so many has a mark: those whose patch has a content that a rule picks, so a copy has the same ones."""
GREYS = 12
"""A patch of fewer distinct values may occur twice by chance."""
MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, eq=False)
class Fingerprint:
    """`thumbnail` `(SIDE, SIDE)` float32, mean 0 and norm 1 (0 for an image without detail); `marks`: content of
    patches as sorted uint64, equal in two images that share pixels exactly, wherever they lie."""

    thumbnail: NDArray[np.float32]
    marks: NDArray[np.uint64]


def fingerprint(voxels: NDArray[Any]) -> Fingerprint:
    """Of an image `(C, *shape)`; all channels count alike."""
    flat = voxels.reshape(len(voxels), -1, *voxels.shape[-2:])
    return Fingerprint(_thumbnail(flat), _marks(flat))


def _thumbnail(stack_CZYX: NDArray[Any]) -> NDArray[np.float32]:
    small = np.zeros((SIDE, SIDE))
    for channel in stack_CZYX:
        mean = shrink(channel.astype(np.float32).mean(0, dtype=np.float64) if len(channel) > 1 else channel[0])
        mean = np.nan_to_num(mean, nan=0.0, posinf=0.0, neginf=0.0)
        # The root tames a few bright spots, which would otherwise be all that is compared.
        mean = np.sqrt(mean - mean.min())
        small += mean / max(float(mean.std()), 1e-12)
    small -= _blurred(small)
    small -= small.mean()
    norm = float(np.linalg.norm(small))
    return (small / norm if norm > 1e-6 else np.zeros_like(small)).astype(np.float32)


def shrink(image: NDArray[Any], side: int = SIDE) -> NDArray[np.float64]:
    """Means over the cells of a grid of `side` × `side`; a shorter axis repeats its pixels."""
    out = image.astype(np.float64)
    for axis, size in enumerate(image.shape):
        edge = np.arange(side) * size // side
        width = np.maximum(np.diff(edge, append=size), 1)
        out = np.add.reduceat(out, edge, axis=axis) / np.expand_dims(width, 1 - axis)
    return out


def _blurred(image: NDArray[np.float64]) -> NDArray[np.float64]:
    half = BLUR // 2
    for axis in (0, 1):
        padded = np.pad(image, [(half, half) if a == axis else (0, 0) for a in (0, 1)], mode="reflect")
        image = np.lib.stride_tricks.sliding_window_view(padded, BLUR, axis).mean(-1)
    return image


def _marks(stack_CZYX: NDArray[Any]) -> NDArray[np.uint64]:
    if min(stack_CZYX.shape[-2:]) < PATCH:
        return np.zeros(0, np.uint64)
    content = np.zeros(stack_CZYX.shape[1:], np.uint64)
    for channel in stack_CZYX:
        content = content * MULTIPLIER + _bits(channel)
    hashed = content
    # A polynomial in two variables over all pixels of the patch; each step doubles its side.
    for axis, factor in ((1, 0xD6E8FEB86659FD93), (2, 0xA5A3564E27F8865B)):
        step, power = 1, factor
        while step < PATCH:
            size = hashed.shape[axis] - step
            head, tail = (hashed[(slice(None),) * axis + (slice(a, a + size),)] for a in (0, step))
            hashed = head + np.uint64(power) * tail
            step, power = 2 * step, power * power % 2**64
    hashed ^= hashed >> np.uint64(33)
    hashed *= MULTIPLIER
    hashed ^= hashed >> np.uint64(29)
    place = np.argwhere(hashed % np.uint64(RARE) == 0)
    marks, first = np.unique(hashed[tuple(place.T)], return_index=True)
    rich = [_rich(content[z, y : y + PATCH, x : x + PATCH]) for z, y, x in place[first].tolist()]
    kept: NDArray[np.uint64] = marks[np.array(rich, bool)]
    return kept


def _rich(patch: NDArray[np.uint64]) -> bool:
    return len(np.unique(patch)) >= GREYS


def _bits(values: NDArray[Any]) -> NDArray[np.uint64]:
    """The values as integers; equal values of one type give equal integers."""
    if values.dtype.kind == "f":
        return np.ascontiguousarray(values, np.float64).view(np.uint64)
    return values.astype(np.int64).view(np.uint64)
