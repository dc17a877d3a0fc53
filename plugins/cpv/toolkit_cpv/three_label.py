"""Background, interior, boundary."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from toolkit.api import Head, Loss, Truth
from toolkit_cpv.erosion import erode
from toolkit_cpv.targets import UNKNOWN, Balance

if TYPE_CHECKING:
    import torch

BACKGROUND, INTERIOR, BOUNDARY = 0, 1, 2


class ThreeLabelLoss(Loss):
    """Softmax cross-entropy of background, interior and boundary (paper §3, Caicedo et al. 2019).

    The boundary is an object minus its erosion by all 3^D − 1 neighbours. Where objects overlap, the boundary of any of
    them is boundary. Voxels that are void or unannotated take no part, nor do those at the edge of a crop that only a
    neighbour beyond it could make boundary.
    """

    kind: Literal["three-label"] = "three-label"
    title: ClassVar[str] = "background, interior and boundary"
    weight: Annotated[float, Field(gt=0)] = 1.0
    balance: Balance = "none"
    """`none` (paper), or `reference`: each class weighs 1 / (3 · its share of the batch), the share clipped to
    .05 … .95."""

    def heads(self, ndim: int) -> tuple[Head, ...]:
        return (Head("three_label", 3, "softmax"),)

    def targets(self, truth: Truth) -> dict[str, np.ndarray[Any, Any]]:
        """`classes` `(1, *S)` int8: 0 background, 1 interior, 2 boundary, −1 unknown."""
        return {"classes": classes(truth)[None]}

    def build(self) -> torch.nn.Module:
        from toolkit_cpv.criteria import ThreeLabelCriterion

        return ThreeLabelCriterion(self.weight, self.balance)


def classes(truth: Truth) -> NDArray[np.int8]:
    """The class of each voxel, −1 where it is unknown."""
    found = np.zeros(truth.shape, np.int8)
    doubts = np.zeros(truth.shape, bool)
    for layer in truth.layers:
        inside, doubtful = erode(layer, truth.void, "all")
        found = np.maximum(found, np.where(layer > 0, np.where(inside, INTERIOR, BOUNDARY), BACKGROUND), dtype=np.int8)
        doubts |= doubtful
    found[~truth.known | (doubts & (found == INTERIOR))] = UNKNOWN
    return found
