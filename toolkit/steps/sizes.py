"""How large objects are: what a model learnt, and what a user says."""

from __future__ import annotations

from dataclasses import dataclass
from math import cbrt, gamma, inf, pi
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from toolkit.errors import UsageError

WIDE = 2**0.5
"""A model knows sizes up to this factor above and below the median, however equal its objects were: crops of a training
are of several scales."""


class Sizes(BaseModel):
    """Diameters of the objects of a training, in voxels of what the network sees: the median over all objects, and from
    where to where images have theirs that the network knows: half of the objects, and at least `WIDE`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    low: Annotated[float, Field(gt=0)]
    median: Annotated[float, Field(gt=0)]
    high: Annotated[float, Field(gt=0)]

    @classmethod
    def of(cls, diameters: NDArray[np.float64], scales: tuple[float, float] | None = None) -> Sizes:
        """Of some objects, at least one, that were seen at `scales` from the smallest to the largest."""
        low, median, high = np.percentile(diameters, (25, 50, 75)).tolist()
        smallest, largest = scales or (1 / WIDE, WIDE)
        low, high = min(low, median * smallest), max(high, median * largest)
        return cls(low=round(low, 1), median=round(median, 1), high=round(high, 1))

    def nearest(self, diameter: float) -> float:
        """The diameter at which objects of another one are seen: the largest that is known, for too large ones, which
        so lose least of their detail; for too small ones a third of the way, in octaves, from the median to the least,
        for larger they gain none (chosen on dsb2018 `val`)."""
        if diameter > self.high:
            return self.high
        return cbrt(self.low * self.median**2) if diameter < self.low else diameter

    def __str__(self) -> str:
        return f"Ø {self.low:.3g}–{self.high:.3g}"


@dataclass(frozen=True)
class Diameter:
    """What the user says of the diameter of the objects: `auto`, `off`, or a number of `unit` px or um."""

    how: Literal["auto", "off", "px", "um"] = "auto"
    number: float = 0.0

    @classmethod
    def parse(cls, text: str | float) -> Diameter:
        """`auto`, `off`, `30` or `30px`, `12um` or `12µm`. Raises `UsageError`."""
        plain = str(text).strip().lower().replace("µ", "u").replace("μ", "u")
        if plain in ("auto", "off"):
            return cls("off" if plain == "off" else "auto")
        unit: Literal["px", "um"] = "um" if plain.endswith("um") else "px"
        try:
            number = float(plain.removesuffix(unit))
        except ValueError:
            number = 0.0
        if not 0 < number < inf:
            raise UsageError(
                "a diameter is pixels, micrometres, auto or off", f"--diameter {text}", "such as 30 or 12um"
            )
        return cls(unit, number)


def diameters(sizes: NDArray[Any], ndim: int) -> NDArray[np.float64]:
    """Diameters in voxels of the discs or balls of these sizes."""
    ball = pi ** (ndim / 2) / gamma(ndim / 2 + 1)
    found: NDArray[np.float64] = 2 * (np.asarray(sizes, np.float64) / ball) ** (1 / ndim)
    return found
