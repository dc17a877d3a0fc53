"""Signed distance to the boundary of objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from toolkit.api import Head, Loss, Truth
from toolkit_cpv.erosion import erode

if TYPE_CHECKING:
    import torch

Floats = NDArray[np.float32]


class SdtLoss(Loss):
    """Squared error of tanh(signed distance to the nearest boundary voxel / `scale`), negative inside (paper §3,
    Heinrich et al. 2018).

    Boundary voxels are those of `three-label` and have distance 0. A crop does not show the boundaries beyond its edge,
    nor void those in it; where such a boundary might be nearer than the nearest visible one, the target is the interval
    of the distances that are possible, and only what lies outside of it is an error.
    """

    kind: Literal["sdt"] = "sdt"
    title: ClassVar[str] = "signed distance to the rim"
    weight: Annotated[float, Field(gt=0)] = 1.0
    """The paper's sdt with auxiliary vectors has 100 (App. B)."""
    scale: Annotated[float, Field(gt=0)] = 9.0
    """Distance, in units of the smallest voxel edge, at which the target is tanh(1) (reference: 9; the paper gives
    none)."""

    def heads(self, ndim: int) -> tuple[Head, ...]:
        return (Head("sdt", 1),)

    def targets(self, truth: Truth) -> dict[str, np.ndarray[Any, Any]]:
        """`sdt` `(2, *S)` float32: least and largest value that is possible; `known` `(1, *S)` bool."""
        return {"sdt": interval(truth, self.scale), "known": truth.known[None]}

    def build(self) -> torch.nn.Module:
        from toolkit_cpv.criteria import SdtCriterion

        return SdtCriterion(self.weight)


def interval(truth: Truth, scale: float) -> Floats:
    """The bounds of tanh(signed distance / scale), `(2, *S)`."""
    inside = truth.covered > 0
    boundary, doubts = np.zeros(truth.shape, bool), np.zeros(truth.shape, bool)
    for layer in truth.layers:
        kept, doubtful = erode(layer, truth.void, "all")
        boundary |= (layer > 0) & ~kept
        doubts |= doubtful
    spacing = np.array(truth.voxel_size) / min(truth.voxel_size)
    if truth.void is not None:
        boundary &= ~truth.void
    seen = _distance(boundary, spacing)
    # What could be boundary: inside of an object voxels of it that touch the unknown, elsewhere all that is unknown.
    within = np.minimum(seen, _distance(doubts & ~boundary, spacing))
    beyond = np.minimum(seen, np.minimum(_distance(~truth.known, spacing), _to_edge(truth.shape, spacing)))
    near, far = np.tanh(np.where(inside, within, beyond) / scale), np.tanh(seen / scale)
    return np.where(inside, [-far, -near], [near, far]).astype(np.float32)


def _distance(to: NDArray[np.bool_], spacing: NDArray[np.float64]) -> Floats:
    """Distance to the nearest true voxel; infinite if there is none."""
    import edt

    if not to.any():
        return np.full(to.shape, np.inf, np.float32)
    return np.asarray(edt.edt(~to, anisotropy=tuple(spacing.tolist()), parallel=1), np.float32)


def _to_edge(shape: tuple[int, ...], spacing: NDArray[np.float64]) -> Floats:
    """Distance to the nearest voxel beyond the array."""
    found = np.full(shape, np.inf, np.float32)
    for axis, (size, step) in enumerate(zip(shape, spacing, strict=True)):
        index = np.arange(size)
        steps = np.minimum(index + 1, size - index) * step
        found = np.minimum(found, steps.reshape(-1, *(1,) * (len(shape) - 1 - axis)), dtype=np.float32)
    return found
