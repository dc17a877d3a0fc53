"""Intensities in 8 bits that a browser can stretch again."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.view.pyramid import ACROSS, Cut, Pyramid

LOOKED = 1024
"""Longest side of the planes by which contrast is chosen."""
COLOURS = ("#ffffff", "#00ff66", "#ff33cc", "#33bbff", "#ffcc00", "#ff5533", "#9977ff", "#00ffee")
RGB = ("#ff0000", "#00ff00", "#0000ff")


@dataclass(frozen=True)
class Channel:
    """A channel: `low` … `high` become 0 … 255, by their square root unless `linear`; `dark` … `bright` are shown at
    first."""

    name: str
    low: float
    high: float
    linear: bool
    dark: float
    bright: float
    colour: str
    on: bool = True

    def plain(self) -> dict[str, Any]:
        return asdict(self)


def channels(pyramid: Pyramid, names: tuple[str, ...], colours: tuple[str, ...] = ()) -> list[Channel]:
    """The channels of an image, stretched over the middle plane and those at a quarter and three quarters."""
    image, count = pyramid.levels[0][0], pyramid.levels[0][0].channels
    seen = _sample(pyramid)
    picture = count == 3 and image.dtype == np.uint8
    palette = colours or (RGB if picture else COLOURS if count > 1 else COLOURS[:1])
    found = []
    for number in range(count):
        values = seen[number][np.isfinite(seen[number])]
        values = values if len(values) else np.zeros(1, np.float32)
        low, dark, bright, high = (float(v) for v in np.percentile(values, (0.01, 0.5, 99.8, 99.99)))
        exact = image.dtype == np.uint8 or image.dtype == np.bool_
        if exact:
            low, high = 0.0, 255.0 if image.dtype == np.uint8 else 1.0
        if picture:
            dark, bright = low, high
        high, bright = max(high, low + 1e-6), max(bright, dark + 1e-6)
        name = names[number] if number < len(names) and names[number] else f"channel {number}"
        found.append(Channel(name, low, high, exact, dark, bright, palette[number % len(palette)], number < 4))
    return found


def coded(voxels: NDArray[np.float32], of: list[Channel]) -> NDArray[np.uint8]:
    """Intensities `(C, …)` as codes 0 … 255; what is not finite is 0."""
    out = np.empty(voxels.shape, np.uint8)
    for number, channel in enumerate(of):
        part = np.nan_to_num((voxels[number] - channel.low) / (channel.high - channel.low), posinf=0, neginf=0)
        part = part.clip(0, 1)
        out[number] = np.rint(255 * (part if channel.linear else np.sqrt(part)))
    return out


def _sample(pyramid: Pyramid) -> NDArray[np.float32]:
    depth, *sides = pyramid.shape
    step = 1
    while max(sides) > LOOKED * step:
        step *= 2
    size = (-(-sides[0] // step), -(-sides[1] // step))
    planes = sorted({depth // 4, depth // 2, 3 * depth // 4})
    seen = [pyramid.read(Cut(0, at, (step, step), (0, 0), size)) for at in planes]
    assert ACROSS[0] == (1, 2), "the plane across the first axis is that of rows and columns"
    return np.concatenate([s.reshape(len(s), -1) for s in seen], axis=1)
