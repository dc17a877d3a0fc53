"""What losses have in common whose network gives affinities of pairs."""

from __future__ import annotations

from math import gamma, pi
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import field_validator

from toolkit.api import Fit, Head, Loss, Offset, Survey, Truth
from toolkit_cac.pairs import foreground, pairs, usual_pairs

SPARSE = 0.2
"""Share of voxels without annotation from which on a data set is sparsely annotated."""


class Paired(Loss):
    """Heads `affinities` and, for a mutex watershed, `foreground`."""

    offsets: tuple[Offset, ...] | None = None
    """Channel k is the affinity of x and x + offsets[k], `(Z)YX` voxels; null is −1, −3, −5, −9, −27 along both axes in
    2-D (supplement, §3), and −1, −2, −3, −4 along z and −1, −3, −9, −27 along y and x in 3-D (reference)."""
    foreground: bool = True
    """Also learn head `foreground`, which a mutex watershed needs (ours)."""

    fit: ClassVar[float]
    """How well it suits sparse annotation."""

    @field_validator("offsets")
    @classmethod
    def _pairs(cls, offsets: tuple[Offset, ...] | None) -> tuple[Offset, ...] | None:
        for k, offset in enumerate(offsets or ()):
            if not any(offset) or len(offset) != len(offsets[0]) or offset in offsets[:k]:  # type: ignore[index]
                raise ValueError(
                    f"offsets has {list(offset)}; each pair is named once, has one number per axis, and not only zeros"
                )
        if offsets == ():
            raise ValueError("offsets is empty; name a pair such as [0, -1], or say null for the usual ones")
        return offsets

    def pairs(self, ndim: int) -> tuple[Offset, ...]:
        """The offsets; raises `ValueError` if they are of another number of axes."""
        if self.offsets is None:
            return usual_pairs(ndim)
        if len(self.offsets[0]) != ndim:
            raise ValueError(f"offsets has {list(self.offsets[0])}, which needs {ndim} numbers, one per axis")
        return self.offsets

    def heads(self, ndim: int) -> tuple[Head, ...]:
        offsets = self.pairs(ndim)
        own = Head("affinities", len(offsets), transform="affinity", offsets=offsets)
        return (own, Head("foreground", 1, "sigmoid")) if self.foreground else (own,)

    def decided(self, truth: Truth, background: Literal["object", "apart"]) -> dict[str, np.ndarray[Any, Any]]:
        """`affinities` `(K, *S)` int8: 1, 0, −1 unknown, −2 void or beyond the crop; `near` `(K, 1)` bool: which are of
        face neighbours; with foreground also `foreground` `(1, *S)` int8 and `radius` `(D,)` float32: of the median
        annotated object, as a ball, in voxels of each axis."""
        offsets = self.pairs(truth.ndim)
        found: dict[str, np.ndarray[Any, Any]] = {
            "affinities": np.stack([pairs(truth, offset, background) for offset in offsets]),
            "near": np.array([[sum(map(abs, offset)) == 1] for offset in offsets]),
        }
        if self.foreground:
            found |= {"foreground": foreground(truth)[None], "radius": _radius(truth)}
        return found

    def suits(self, survey: Survey) -> Fit | None:
        if not survey.objects:
            return None
        bare = f"{100 * survey.unknown:.0f} % of the voxels are not annotated"
        if survey.unknown > SPARSE:
            return Fit(self.fit, bare)
        return Fit(0.3, f"{bare}, so that others have the same to learn")


def _radius(truth: Truth) -> np.ndarray[Any, Any]:
    """Of a ball as large as the median annotated object, in voxels along each axis; 0 where there is none."""
    sizes = np.unique(truth.layers[truth.layers > 0], return_counts=True)[1]
    if not len(sizes):
        return np.zeros(truth.ndim, np.float32)
    voxel = np.array(truth.voxel_size)
    volume = float(np.median(sizes)) * voxel.prod()
    radius = (volume * gamma(truth.ndim / 2 + 1) / pi ** (truth.ndim / 2)) ** (1 / truth.ndim)
    return np.asarray(radius / voxel, np.float32)
