"""At what size an image is seen."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Rescaling:
    """An image is seen rescaled `by` so many voxels per voxel of each axis, none if as it is. `diameter_px`: the median
    diameter of its objects, if that is known; `said`: why it is rescaled."""

    by: tuple[float, ...] = ()
    diameter_px: float | None = None
    said: str = ""
