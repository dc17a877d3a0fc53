"""What a network of patches learns."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import Field, model_validator

from toolkit.prediction import Head
from toolkit.specs import Loss
from toolkit.truth import Truth
from toolkit_ppp.patchperpix import MAX_EXTENT

if TYPE_CHECKING:
    import torch


class PatchLoss(Loss):
    """Binary cross-entropy of all entries of the patches, mean over what is known (paper, 2.2).

    The patch of pixel x holds, for each offset d, whether x and x + d lie in the same object; background lies in
    none. Pixels of several objects have no one patch and take no part, but as members of other patches they do. An
    entry takes part if it lies in the crop, is not void, and one of its two ends is annotated.
    """

    kind: Literal["ppp"] = "ppp"
    patch: tuple[Annotated[int, Field(ge=1, le=MAX_EXTENT)], ...] = (25, 25)
    """Shape of a patch in voxels, `(Z)YX`, odd (paper: 25×25, 41×41, 9×9×9)."""
    foreground: Literal["none", "foreground", "numinst"] = "none"
    """A further head: none, the centre of the patch says it (paper, ppp); `foreground`, binary cross-entropy; or
    `numinst`, cross-entropy of 0, 1 and more objects at a pixel, where objects overlap (paper, 2.3)."""
    where: Literal["everywhere", "foreground"] = "everywhere"
    """Pixels whose patches learn: all (paper, ppp), or those of one object (paper, ppp+dec)."""
    pixels: Annotated[int, Field(ge=1)] | None = None
    """So many of them, drawn anew for each step; null: all (paper, ppp). ppp+dec: 1024 (reference)."""
    overlap_members: Literal["keep", "drop"] = "keep"
    """Pixels of several objects as members of patches of others: keep them, or leave them out (reference)."""
    weight: Annotated[float, Field(gt=0)] = 1.0
    """Weight of the patches relative to the further head (paper: 1)."""

    @model_validator(mode="after")
    def _possible(self) -> PatchLoss:
        if any(n % 2 == 0 for n in self.patch):
            shape = "×".join(map(str, self.patch))
            raise ValueError(f"patch {shape} must be odd along every axis, so that it has a centre")
        if self.where == "foreground" and self.foreground == "none":
            raise ValueError("where=foreground needs a head that tells the foreground: foreground=foreground|numinst")
        return self

    def heads(self, ndim: int) -> tuple[Head, ...]:
        patches = Head("patches", prod(self.patch), "sigmoid", "patch", self.patch)
        match self.foreground:
            case "none":
                return (patches,)
            case "foreground":
                return patches, Head("foreground", 1, "sigmoid")
            case "numinst":
                return patches, Head("numinst", 3, "softmax")

    def targets(self, truth: Truth) -> dict[str, np.ndarray[Any, Any]]:
        """`layers` `(L, *S)` int32 and `void` `(1, *S)` bool: patches are compared where they are needed."""
        void = np.zeros(truth.shape, bool) if truth.void is None else truth.void
        return {"layers": truth.layers, "void": void[None]}

    def build(self) -> torch.nn.Module:
        from toolkit_ppp.criterion import PatchCriterion

        return PatchCriterion(self)
