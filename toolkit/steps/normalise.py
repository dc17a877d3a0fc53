"""Bring intensities to a common scale: one fit per image, never one per window."""

from __future__ import annotations

from collections.abc import Sequence
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
FAR, SOME = 4, 0.4
"""A gap so many times as wide as all that lies on its other side sets values apart, if they are no more than this share
of all: sparse objects on dark ground are a few values among many."""
SAMPLE = 2**24
"""Most voxels per channel from which a scale of a float image is estimated."""


class Normalise(BaseModel):
    """How intensities are scaled.

    `percentile`: (v − p_low) / (p_high − p_low), at most `clip` from 0. `mean_std`: (v − mean) / standard deviation.
    `range`: v / largest value of an integer dtype. `none`: v.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["percentile", "mean_std", "range", "none"] = "percentile"
    low: Annotated[float, Field(ge=0, lt=100)] = 1.0
    """Lower percentile, in percent."""
    high: Annotated[float, Field(gt=0, le=100)] = 99.8
    """Upper percentile, in percent."""
    clip: Annotated[float, Field(ge=2)] | None = 20.0
    """How far from 0 values of `percentile` may lie, null: anywhere. One hot pixel, hundreds of times as bright as what
    is seen, would drown all that the network sees with it; of real images nearly nothing lies beyond 20."""
    together: bool = True
    """Whether the frames of a time series have one scale, so that what fades is seen to fade."""


@dataclass(frozen=True, eq=False)
class Scale:
    """`(voxels − offset) * factor` per channel, as float32, at most `clip` from 0; what is not finite becomes 0.

    `constant` is true if every channel has one value everywhere: there is nothing to see in such an image. `far` says
    which values are far from all others and so many that the scale may be theirs alone. `middle` is the median of
    `percentile`, as scaled: that of a few bright objects on dark ground lies near 0.
    """

    offset: NDArray[np.float64]
    factor: NDArray[np.float64]
    constant: bool = False
    clip: float | None = None
    far: str = ""
    middle: float = 0.0

    def __call__(self, voxels: NDArray[Any]) -> NDArray[np.float32]:
        column = (slice(None), *[None] * (voxels.ndim - 1))
        # 32-bit floats hold neither the digits of longer integers nor the largest of 64-bit floats.
        long = voxels.dtype.itemsize > 4 or (voxels.dtype.itemsize == 4 and np.issubdtype(voxels.dtype, np.integer))
        exact: Any = np.float64 if long else np.float32
        offset, factor = (numbers.astype(exact)[column] for numbers in (self.offset, self.factor))
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is counted and said elsewhere
            scaled: NDArray[np.float32] = ((voxels.astype(exact) - offset) * factor).astype(np.float32, copy=False)
        if not np.issubdtype(voxels.dtype, np.integer):
            scaled = np.nan_to_num(scaled, nan=0, posinf=0, neginf=0)
        return scaled if self.clip is None else np.clip(scaled, -self.clip, self.clip, out=scaled)


def fit(image: Image, how: Normalise) -> Scale:
    """The scale of a whole image: exact histogram for 8- and 16-bit integers, a fixed-stride sample otherwise.

    Deterministic: the same image gives the same scale for any blocks. Raises `InputError` if no voxel is finite.
    """
    offset, factor, constant, far, middle = [], [], True, "", 0.0
    for channel in range(image.channels):
        values, counts = _histogram(image, channel)
        if len(values) == 0:
            raise InputError("no voxel has a finite value", f"{image.name}, channel {channel}", "check the file")
        low, by = _channel(image, values, counts, how)
        offset.append(low)
        factor.append(by)
        constant &= len(values) == 1
        if how.kind == "percentile":
            far = far or _far(values, counts, how)
            middle = max(middle, (_percentiles(values, counts, (50,))[0] - low) * by)
    clip = how.clip if how.kind == "percentile" else None
    return Scale(np.array(offset), np.array(factor), constant, clip, far, middle)


def _far(values: NDArray[np.float64], counts: NDArray[np.int64], how: Normalise) -> str:
    """Which values lie far from all others, and are so many that a percentile is one of them: "no data" or debris."""
    if len(values) < 4:
        return ""
    ends = np.cumsum(counts)
    widest = [a + int(np.diff(values[a : a + CHUNK + 1]).argmax()) for a in range(0, len(values) - 1, CHUNK)]
    at = max(widest, key=lambda n: float(values[n + 1] - values[n]))
    low, high, total = int(ends[at]), int(ends[-1] - ends[at]), int(ends[-1])
    above = high < low
    few, spread = (high, values[at] - values[0]) if above else (low, values[-1] - values[at + 1])
    tail = (100 - how.high if above else how.low) / 100
    if not (values[at + 1] - values[at] > FAR * spread > 0 and tail < few / total <= SOME):
        return ""
    first, last = (values[at + 1], values[-1]) if above else (values[0], values[at])
    said = f"{first:.6g}" if first == last else f"{first:.6g} to {last:.6g}"
    share, side = max(0.1, round(100 * few / total, 1)), "above" if above else "below"
    return (
        f"{share:g} % of the values are {said}, far {side} all others: if they are no signal, such as no data "
        "or debris, the rest is seen with too little contrast; give them another value"
    )


def _channel(
    image: Image, values: NDArray[np.float64], counts: NDArray[np.int64], how: Normalise
) -> tuple[float, float]:
    match how.kind:
        case "percentile":
            low, high = _percentiles(values, counts, (how.low, how.high))
            if low == high:  # most of the image is one value, as in sparse synthetic images
                low, high = float(values[0]), float(values[-1])
            return low, 1 / (high - low) if high > low else 0.0
        case "mean_std":
            mean = float(np.average(values, weights=counts))
            deviation = float(np.sqrt(np.average((values - mean) ** 2, weights=counts)))
            return mean, 1 / deviation if deviation > 0 else 0.0
        case "range":
            top = np.iinfo(image.dtype).max if np.issubdtype(image.dtype, np.integer) else 1
            return 0.0, 1 / top
        case "none":
            return 0.0, 1.0


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


def _percentiles(values: NDArray[np.float64], counts: NDArray[np.int64], percent: Sequence[float]) -> list[float]:
    """Percentiles by linear interpolation between order statistics, as `numpy.percentile` defines them."""
    ends = np.cumsum(counts)
    result = []
    for p in percent:
        rank = p / 100 * (int(ends[-1]) - 1)
        below, above = (float(values[np.searchsorted(ends, r, side="right")]) for r in (np.floor(rank), np.ceil(rank)))
        result.append(below + (above - below) * (rank - np.floor(rank)))
    return result
