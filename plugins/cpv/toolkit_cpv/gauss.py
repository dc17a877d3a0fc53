"""A blob at the centre of each object: detection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from toolkit.api import Head, Loss, Truth

if TYPE_CHECKING:
    import torch

REACH = 4
"""A blob ends this many standard deviations from its centre along each axis."""


class GaussLoss(Loss):
    """Squared error of a Gaussian blob of height 1 at each centre of mass (paper §3, Höfener et al. 2018).

    Only `Truth.centres` are read: a label image in which each object is one voxel trains as well as a full annotation.
    Voxels that are void or unannotated take no part.
    """

    kind: Literal["gauss"] = "gauss"
    title: ClassVar[str] = "a blob at each centre"
    citation: ClassVar[str] = (
        "Hirsch and Kainmueller, An Auxiliary Task for Learning Nuclei Segmentation in 3D Microscopy Images, MIDL 2020"
    )
    weight: Annotated[float, Field(gt=0)] = 1.0
    sigma: Annotated[float, Field(gt=0)] = 2.0
    """Standard deviation in units of the smallest voxel edge (paper: 2)."""
    overlap: Literal["maximum", "sum"] = "maximum"
    """Where blobs meet: the higher one (ours: each centre keeps height 1) or their sum (reference)."""

    def heads(self, ndim: int) -> tuple[Head, ...]:
        return (Head("gauss", 1),)

    def targets(self, truth: Truth) -> dict[str, np.ndarray[Any, Any]]:
        """`gauss` float32 and `known` bool, both `(1, *S)`."""
        return {"gauss": self._blobs(truth)[None], "known": truth.known[None]}

    def build(self) -> torch.nn.Module:
        from toolkit_cpv.criteria import GaussCriterion

        return GaussCriterion(self.weight)

    def _blobs(self, truth: Truth) -> NDArray[np.float32]:
        found = np.zeros(truth.shape, np.float32)
        sigma = self.sigma * min(truth.voxel_size) / np.array(truth.voxel_size)
        for centre in near(truth.centres, REACH * sigma, truth.shape):
            window, gaps = around(centre, REACH * sigma, truth.shape)
            blob = np.ones(())
            for gap, s in zip(gaps, sigma, strict=True):
                blob = blob[..., None] * np.exp(-0.5 * (gap / s) ** 2)
            part = found[window]
            part[...] = part + blob if self.overlap == "sum" else np.maximum(part, blob)
        return found


def near(centres: NDArray[np.float64], reach: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.float64]:
    """The centres that have a voxel within `reach` along each axis."""
    return centres[np.all((centres >= -reach) & (centres <= np.array(shape) - 1 + reach), axis=1)]


def around(
    centre: NDArray[np.float64], reach: NDArray[np.float64], shape: tuple[int, ...]
) -> tuple[tuple[slice, ...], list[NDArray[np.float64]]]:
    """The voxels within `reach` of `centre` along each axis: their slices, and coordinate − centre for each axis."""
    low = np.clip(np.ceil(centre - reach), 0, shape).astype(int)
    high = np.clip(np.floor(centre + reach) + 1, low, shape).astype(int)
    window = tuple(slice(a, b) for a, b in zip(low.tolist(), high.tolist(), strict=True))
    return window, [np.arange(a, b) - c for a, b, c in zip(low, high, centre, strict=True)]
