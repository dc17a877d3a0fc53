"""Affinities of pairs of voxels: of face neighbours, or at any offsets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from toolkit.api import Head, Loss, Offset, Truth, ends
from toolkit_cpv.erosion import erode
from toolkit_cpv.targets import UNKNOWN, Balance

if TYPE_CHECKING:
    import torch

Bools = NDArray[np.bool_]


class AffinitiesLoss(Loss):
    """Binary cross-entropy of the affinity of each voxel to its previous neighbour along each axis, and of foreground
    (paper §3, Funke et al. 2018), each the mean over its voxels. With `offsets`, of the affinities that they say,
    which a mutex watershed reads (Wolf et al. 2018).

    Labels are eroded first, so that neighbouring objects are more than a voxel apart (paper App. C); what the erosion
    takes is background. Pairs of which an end is void take no part, nor do those of which both are unannotated, nor
    those that only voxels beyond the crop could decide.
    """

    kind: Literal["affinities"] = "affinities"
    title: ClassVar[str] = "affinities of neighbours"
    weight: Annotated[float, Field(gt=0)] = 1.0
    erosions: Annotated[int, Field(ge=0)] = 1
    """How often labels are eroded by their face neighbours (paper: once)."""
    balance: Balance = "none"
    """`none` (paper), or `reference`: 0 and 1 weigh 1 / (2 · their share of the batch), the share clipped to
    .05 … .95."""
    offsets: tuple[Offset, ...] | None = None
    """Channel k is the affinity of x and x + offsets[k], `(Z)YX` voxels; null is the previous neighbour along each axis
    (paper)."""

    @field_validator("offsets")
    @classmethod
    def _pairs(cls, offsets: tuple[Offset, ...] | None) -> tuple[Offset, ...] | None:
        if offsets is None:
            return None
        if not offsets:
            raise ValueError("offsets is empty; name a pair such as [0, -1], or say null for the previous neighbours")
        for k, offset in enumerate(offsets):
            if not any(offset):
                raise ValueError(f"offsets has {list(offset)}, which pairs each voxel with itself; leave it out")
            if len(offset) != len(offsets[0]):
                raise ValueError(f"offsets has {list(offsets[0])} and {list(offset)}, of unequal numbers of axes")
            if offset in offsets[:k]:
                raise ValueError(f"offsets has {list(offset)} twice; name each pair once")
        return offsets

    def heads(self, ndim: int) -> tuple[Head, ...]:
        offsets = self._offsets(ndim)
        return (
            Head("affinities", len(offsets), "sigmoid", transform="affinity", offsets=offsets),
            Head("foreground", 1, "sigmoid"),
        )

    def targets(self, truth: Truth) -> dict[str, np.ndarray[Any, Any]]:
        """`affinities` `(offsets, *S)` and `foreground` `(1, *S)` int8: 1, 0, or −1 where unknown."""
        layers, doubts = self._eroded(truth)
        foreground = np.max(layers > 0, axis=0).astype(np.int8)
        foreground[~truth.known | np.max(doubts, axis=0)] = UNKNOWN
        return {
            "affinities": np.stack([_affinity(truth, layers, doubts, offset) for offset in self._offsets(truth.ndim)]),
            "foreground": foreground[None],
        }

    def build(self) -> torch.nn.Module:
        from toolkit_cpv.criteria import AffinitiesCriterion

        return AffinitiesCriterion(self.weight, self.balance)

    def _offsets(self, ndim: int) -> tuple[Offset, ...]:
        """Raises `ValueError` if they are of another number of axes."""
        if self.offsets is None:
            return neighbours(ndim)
        if len(self.offsets[0]) != ndim:
            raise ValueError(f"offsets has {list(self.offsets[0])}, which needs {ndim} numbers, one per axis")
        return self.offsets

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


def neighbours(ndim: int) -> tuple[Offset, ...]:
    """The previous neighbour along each axis."""
    return tuple(tuple(-int(a == axis) for a in range(ndim)) for axis in range(ndim))


def _affinity(truth: Truth, layers: NDArray[np.int32], doubts: Bools, offset: Offset) -> NDArray[np.int8]:
    """Affinity of each voxel x to x + `offset`: 1, 0 or unknown."""
    here, there = ends(truth.shape, offset)
    every = (slice(None),)
    same = (layers[every + here] == layers[every + there]) & (layers[every + here] > 0)
    sure = same & ~(doubts[every + here] | doubts[every + there])
    one = np.any(same, axis=0)
    unknown = np.asarray(one & ~np.any(sure, axis=0))
    unannotated = truth.unannotated
    unknown |= unannotated[here] & unannotated[there]
    if truth.void is not None:
        unknown |= truth.void[here] | truth.void[there]
    # Where the other end is beyond the crop, known is only that background has no affinity.
    background = truth.known & (layers <= 0).all(0)
    found = np.where(background, 0, UNKNOWN).astype(np.int8)
    found[here] = np.where(unknown, UNKNOWN, one)
    return found
