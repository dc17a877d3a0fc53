"""Vectors from each voxel of an object to its centre of mass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from toolkit.api import Fit, Head, Loss, Survey, Truth
from toolkit_cpv.gauss import around, near
from toolkit_cpv.targets import UNKNOWN, Balance

if TYPE_CHECKING:
    import torch

Unit = Literal["voxel", "micrometre"]
Vectors = tuple[NDArray[np.float32], NDArray[np.int8]]


class CpvLoss(Loss):
    """Squared error of centre of mass − voxel, absolute, mean over foreground voxels and axes (paper §2).

    As the auxiliary loss of any recipe, whatever its network and main task: `--set auxiliary=cpv`. The centre of an
    object that the crop cuts is that of the whole object. Voxels of two objects have no one centre and take no part,
    nor do void ones.
    """

    kind: Literal["cpv"] = "cpv"
    title: ClassVar[str] = "vectors to the centre"
    citation: ClassVar[str] = (
        "Hirsch and Kainmueller, An Auxiliary Task for Learning Nuclei Segmentation in 3D Microscopy Images, MIDL 2020"
    )
    weight: Annotated[float, Field(gt=0)] = 1.0
    """Relative to the main loss (paper: 1)."""
    unit: Unit = "voxel"
    """Length of the vectors: voxels along each axis (paper), or micrometres where voxels are not cubes."""
    radius_um: Annotated[float, Field(gt=0)] | None = None
    """null: all voxels of an object point at its centre. A number: those within so many micrometres of a centre do, in
    or out of objects, so that points suffice as annotation (ours)."""
    balance: Balance = "none"
    """`none` (paper), or `reference`: background learns the vector 0 with weight .01, and the mean is over all
    voxels."""

    def suits(self, survey: Survey) -> Fit | None:
        return Fit(0.5, f"{survey.shape}, and their centres may lie outside of them") if survey.bent else None

    def heads(self, ndim: int) -> tuple[Head, ...]:
        return (Head("cpv", ndim, transform="vector"),)

    def targets(self, truth: Truth) -> dict[str, np.ndarray[Any, Any]]:
        """`cpv` `(D, *S)` float32, 0 where there is no vector; `inside` `(1, *S)` int8: 1 where there is one, 0 in
        background, −1 where unknown."""
        vectors, inside = _to_objects(truth) if self.radius_um is None else _to_points(truth, self.radius_um)
        if self.unit == "micrometre":
            vectors *= np.array(truth.voxel_size, np.float32).reshape(-1, *(1,) * truth.ndim)
        return {"cpv": vectors, "inside": inside[None]}

    def build(self) -> torch.nn.Module:
        from toolkit_cpv.criteria import CpvCriterion

        return CpvCriterion(self.weight, self.balance)


def _to_objects(truth: Truth) -> Vectors:
    """Vectors to the centres of the objects, in voxels."""
    covered = truth.covered
    inside = np.where(truth.known, np.minimum(covered, 1), UNKNOWN).astype(np.int8)
    inside[covered > 1] = UNKNOWN
    place = np.nonzero(inside == 1)
    label = truth.layers.max(0)[place]
    order = np.argsort(truth.ids)
    row = order[np.searchsorted(truth.ids, label, sorter=order)]
    assert (truth.ids[row] == label).all(), "each object has a centre"
    vectors = np.zeros((truth.ndim, *truth.shape), np.float32)
    for axis, coordinate in enumerate(place):
        vectors[axis][place] = truth.centres[row, axis] - coordinate
    return vectors, inside


def _to_points(truth: Truth, radius_um: float) -> Vectors:
    """Vectors, in voxels, to the nearest centre within the radius; ties go to the first centre."""
    size = np.array(truth.voxel_size)
    nearest = np.full(truth.shape, np.inf)
    vectors = np.zeros((truth.ndim, *truth.shape), np.float32)
    for centre in near(truth.centres, radius_um / size, truth.shape):
        window, gaps = around(centre, radius_um / size, truth.shape)
        grid = np.meshgrid(*gaps, indexing="ij", sparse=True)
        square = np.zeros(tuple(len(gap) for gap in gaps))
        for gap, step in zip(grid, size, strict=True):
            square = square + (gap * step) ** 2
        closer = (square <= radius_um**2) & (square < nearest[window])
        nearest[window][closer] = square[closer]
        for axis, gap in enumerate(grid):
            vectors[axis][window][closer] = np.broadcast_to(-gap, square.shape)[closer]
    # Points say where objects are, not where they end: outside of the radius nothing is known.
    inside = np.where(np.isfinite(nearest) & truth.known, 1, UNKNOWN).astype(np.int8)
    return vectors, inside
