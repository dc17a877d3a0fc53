"""Affinities of face neighbours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from toolkit.prediction import Head
from toolkit.specs import Loss
from toolkit.truth import Truth
from toolkit_cpv.erosion import erode, pair
from toolkit_cpv.three_label import UNKNOWN, Balance

if TYPE_CHECKING:
    import torch

Bools = NDArray[np.bool_]


class AffinitiesLoss(Loss):
    """Binary cross-entropy of the affinity of each voxel to its previous neighbour along each axis, and of foreground
    (paper §3, Funke et al. 2018), each the mean over its voxels.

    Labels are eroded first, so that neighbouring objects are more than a voxel apart (paper App. C); what the erosion
    takes is background. Pairs of which an end is void take no part, nor do those of which both are unannotated, nor
    those that only voxels beyond the crop could decide.
    """

    kind: Literal["affinities"] = "affinities"
    weight: Annotated[float, Field(gt=0)] = 1.0
    erosions: Annotated[int, Field(ge=0)] = 1
    """How often labels are eroded by their face neighbours (paper: once)."""
    balance: Balance = "none"
    """`none` (paper), or `reference`: 0 and 1 weigh 1 / (2 · their share of the batch), the share clipped to
    .05 … .95."""

    def heads(self, ndim: int) -> tuple[Head, ...]:
        offsets = tuple(tuple(-int(a == axis) for a in range(ndim)) for axis in range(ndim))
        return (
            Head("affinities", ndim, "sigmoid", transform="affinity", offsets=offsets),
            Head("foreground", 1, "sigmoid"),
        )

    def targets(self, truth: Truth) -> dict[str, np.ndarray[Any, Any]]:
        """`affinities` `(D, *S)` and `foreground` `(1, *S)` int8: 1, 0, or −1 where unknown."""
        layers, doubts = self._eroded(truth)
        foreground = np.max(layers > 0, axis=0).astype(np.int8)
        foreground[~truth.known | np.max(doubts, axis=0)] = UNKNOWN
        return {
            "affinities": np.stack([_affinity(truth, layers, doubts, axis) for axis in range(truth.ndim)]),
            "foreground": foreground[None],
        }

    def build(self) -> torch.nn.Module:
        from toolkit_cpv.criteria import AffinitiesCriterion

        return AffinitiesCriterion(self)

    def _eroded(self, truth: Truth) -> tuple[NDArray[np.int32], Bools]:
        """The layers after erosion, and which of their voxels might be gone if more were known."""
        layers, doubts = truth.layers, np.zeros(truth.layers.shape, bool)
        for _ in range(self.erosions):
            parts = []
            for layer, before in zip(layers, doubts, strict=True):
                inside, doubtful = erode(layer, truth.void, "faces")
                if before.any():
                    doubtful |= inside & ~erode(np.where(before, 0, layer), truth.void, "faces")[0]
                parts.append((np.where(inside, layer, 0), doubtful))
            layers, doubts = (np.stack(part) for part in zip(*parts, strict=True))
        return layers, doubts


def _affinity(truth: Truth, layers: NDArray[np.int32], doubts: Bools, axis: int) -> NDArray[np.int8]:
    """Affinity of each voxel to its previous neighbour along `axis`: 1, 0 or unknown."""
    before, after = pair(truth.ndim, axis)
    every = (slice(None),)
    same = (layers[every + before] == layers[every + after]) & (layers[every + after] > 0)
    sure = same & ~(doubts[every + before] | doubts[every + after])
    one = np.any(same, axis=0)
    unknown = np.asarray(one & ~np.any(sure, axis=0))
    unannotated = truth.unannotated
    unknown |= unannotated[before] & unannotated[after]
    if truth.void is not None:
        unknown |= truth.void[before] | truth.void[after]
    found = np.zeros(truth.shape, np.int8)
    found[after] = np.where(unknown, UNKNOWN, one)
    # The first voxels have their neighbour beyond the crop: known is only that background has no affinity.
    first = (*(slice(None),) * axis, slice(None, 1))
    background = truth.known[first] & (layers[every + first] <= 0).all(0)
    found[first] = np.where(background, 0, UNKNOWN)
    return found
