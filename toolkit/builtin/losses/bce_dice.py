"""Foreground, and the boundary of objects if wanted, by cross-entropy and Dice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from toolkit.plugins.specs import Loss
from toolkit.values.prediction import Head
from toolkit.values.truth import Truth

if TYPE_CHECKING:
    import torch

UNKNOWN = -1
"""Value of a target where nothing is known: the loss leaves the voxel out."""


class BceDice(Loss):
    """Binary cross-entropy plus soft Dice (Isensee et al. 2018) of head `foreground`, and of head `boundary` if asked.

    Voxels that are unannotated or void take no part.
    """

    kind: Literal["bce_dice"] = "bce_dice"
    title: ClassVar[str] = "foreground by Dice and cross-entropy"
    boundary: bool = False
    """Also learn head `boundary`: voxels of an object with a face neighbour outside of it."""
    dice: Annotated[float, Field(ge=0)] = 1.0
    """Weight of the Dice term; the cross-entropy has weight 1."""

    def heads(self, ndim: int) -> tuple[Head, ...]:
        names = ("foreground", "boundary") if self.boundary else ("foreground",)
        return tuple(Head(name, 1, "sigmoid") for name in names)

    def targets(self, truth: Truth) -> dict[str, NDArray[Any]]:
        """int8 `(1, *shape)` for each head: 1, 0 or `UNKNOWN`."""
        found = {"foreground": np.where(truth.known, truth.covered > 0, UNKNOWN).astype(np.int8)[None]}
        if self.boundary:
            found["boundary"] = _boundary(truth)[None]
        return found

    def build(self) -> torch.nn.Module:
        from toolkit.builtin.losses.bce_dice_module import BceDiceModule

        return BceDiceModule([head.name for head in self.heads(2)], self.dice)


def _boundary(truth: Truth) -> NDArray[np.int8]:
    """1 on the rim of any object, 0 elsewhere; unknown where only a void neighbour would make a voxel rim."""
    rim = np.zeros(truth.shape, bool)
    doubtful = np.zeros(truth.shape, bool)
    void = np.zeros(truth.shape, bool) if truth.void is None else truth.void
    for axis in range(truth.ndim):
        for here, there in _neighbours(truth.ndim, axis):
            for layer in truth.layers:
                differs = (layer[here] > 0) & (layer[here] != layer[there])
                rim[here] |= differs & ~void[there]
                doubtful[here] |= differs & void[there]
    known = truth.known & ~(doubtful & ~rim)
    return np.where(known, rim, UNKNOWN).astype(np.int8)


def _neighbours(ndim: int, axis: int) -> tuple[tuple[tuple[slice, ...], tuple[slice, ...]], ...]:
    """Slices of voxels and of their neighbours along `axis`, in both directions."""
    everything = [slice(None)] * ndim
    low, high = list(everything), list(everything)
    low[axis], high[axis] = slice(None, -1), slice(1, None)
    return (tuple(low), tuple(high)), (tuple(high), tuple(low))
