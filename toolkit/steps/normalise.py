"""Bring intensities to a common scale: one fit per image, never one per window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from toolkit.errors import InputError
from toolkit.values.image import Image
from toolkit.values.tiles import Box, slabs

SLAB, CHUNK = 2**26, 2**19
"""Voxels that are read at once, and those that are counted at once: they stay in the cache."""
SAMPLE = 2**24
"""Most voxels per channel from which a scale of a float image is estimated."""


class Normalise(BaseModel):
    """How intensities are scaled.

    `percentile`: (v − p_low) / (p_high − p_low), not clipped. `mean_std`: (v − mean) / standard deviation.
    `range`: v / largest value of an integer dtype. `none`: v.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["percentile", "mean_std", "range", "none"] = "percentile"
    low: Annotated[float, Field(ge=0, lt=100)] = 1.0
    """Lower percentile, in percent."""
    high: Annotated[float, Field(gt=0, le=100)] = 99.8
    """Upper percentile, in percent."""
    together: bool = True
    """Whether the frames of a time series have one scale, so that what fades is seen to fade."""


@dataclass(frozen=True, eq=False)
class Scale:
    """`(voxels − offset) * factor` per channel, as float32; what is not finite becomes 0.

    `constant` is true if every channel has one value everywhere: there is nothing to see in such an image.
    """

    offset: NDArray[np.float64]
    factor: NDArray[np.float64]
    constant: bool = False

    def __call__(self, voxels: NDArray[Any]) -> NDArray[np.float32]:
        column = (slice(None), *[None] * (voxels.ndim - 1))
        # 32-bit floats hold neither the digits of longer integers nor the largest of 64-bit floats.
        long = voxels.dtype.itemsize > 4 or (voxels.dtype.itemsize == 4 and np.issubdtype(voxels.dtype, np.integer))
        exact: Any = np.float64 if long else np.float32
        offset, factor = (numbers.astype(exact)[column] for numbers in (self.offset, self.factor))
        scaled: NDArray[np.float32] = ((voxels.astype(exact) - offset) * factor).astype(np.float32, copy=False)
        return scaled if np.issubdtype(voxels.dtype, np.integer) else np.nan_to_num(scaled, nan=0, posinf=0, neginf=0)


def fit(image: Image, how: Normalise) -> Scale:
    """The scale of a whole image: exact histogram for 8- and 16-bit integers, a fixed-stride sample otherwise.

    Deterministic: the same image gives the same scale for any blocks. Raises `InputError` if no voxel is finite.
    """
    pairs = [_channel(image, channel, how) for channel in range(image.channels)]
    offset, factor, constant = zip(*pairs, strict=True)
    return Scale(np.array(offset), np.array(factor), all(constant))


def _channel(image: Image, channel: int, how: Normalise) -> tuple[float, float, bool]:
    values, counts = _histogram(image, channel)
    if len(values) == 0:
        raise InputError("no voxel has a finite value", f"{image.name}, channel {channel}", "check the file")
    constant = len(values) == 1
    match how.kind:
        case "percentile":
            low, high = _percentiles(values, counts, (how.low, how.high))
            if low == high:  # most of the image is one value, as in sparse synthetic images
                low, high = float(values[0]), float(values[-1])
            return low, 1 / (high - low) if high > low else 0.0, constant
        case "mean_std":
            mean = float(np.average(values, weights=counts))
            deviation = float(np.sqrt(np.average((values - mean) ** 2, weights=counts)))
            return mean, 1 / deviation if deviation > 0 else 0.0, constant
        case "range":
            top = np.iinfo(image.dtype).max if np.issubdtype(image.dtype, np.integer) else 1
            return 0.0, 1 / top, constant
        case "none":
            return 0.0, 1.0, constant


def _histogram(image: Image, channel: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Distinct finite values, ascending, and how often each occurs."""
    small = image.dtype == bool or (np.issubdtype(image.dtype, np.integer) and image.dtype.itemsize <= 2)
    if small:
        low = 0 if image.dtype == bool else int(np.iinfo(image.dtype).min)
        counts = np.zeros(2 ** (8 * image.dtype.itemsize), np.int64)
        for slab in slabs(image.shape, SLAB):
            flat = image.read(slab)[channel].reshape(-1)
            for at in range(0, len(flat), CHUNK):
                counts += _counts(flat[at : at + CHUNK])
        counts = np.roll(counts, -low)
        present = np.flatnonzero(counts)
        return (present + low).astype(np.float64), counts[present]
    # A stride that depends on the image alone, never on blocks, keeps the scale the same for any tiling.
    stride = max(1, -(-Box.whole(image.shape).size // SAMPLE))
    sample, seen = [], 0
    for slab in slabs(image.shape, SLAB):
        flat = image.read(slab)[channel].reshape(-1)
        sample.append(flat[-seen % stride :: stride])
        seen += flat.size
    values = np.concatenate(sample).astype(np.float64) if sample else np.zeros(0)
    return np.unique(values[np.isfinite(values)], return_counts=True)


def _counts(flat: NDArray[Any]) -> NDArray[np.int64]:
    """How often each value of 8 or 16 bits occurs, negative ones last; those of 8 bits are counted in pairs."""
    size = flat.dtype.itemsize
    if size == 2 or len(flat) % 2:
        return np.bincount(flat.astype(f"u{size}", copy=False), minlength=2 ** (8 * size))
    pairs = np.bincount(np.ascontiguousarray(flat).view(np.uint16), minlength=2**16).reshape(256, 256)
    both: NDArray[np.int64] = pairs.sum(0) + pairs.sum(1)
    return both


def _percentiles(values: NDArray[np.float64], counts: NDArray[np.int64], percent: tuple[float, float]) -> list[float]:
    """Percentiles by linear interpolation between order statistics, as `numpy.percentile` defines them."""
    ends = np.cumsum(counts)
    result = []
    for p in percent:
        rank = p / 100 * (int(ends[-1]) - 1)
        below, above = (float(values[np.searchsorted(ends, r, side="right")]) for r in (np.floor(rank), np.ceil(rank)))
        result.append(below + (above - below) * (rank - np.floor(rank)))
    return result
