"""What a network of patches learns."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from toolkit.api import Deduced, Head, Loss, Survey, Truth
from toolkit_ppp.fitting import fitting
from toolkit_ppp.options import Extent

if TYPE_CHECKING:
    import torch

Patch = tuple[Extent, ...]
Where = Literal["everywhere", "foreground"]
Pixels = Annotated[int, Field(ge=1)] | None


class OfPatches(Loss):
    """The heads of every network of patches, so that a training can go on with another loss.

    The patch of pixel x holds, for each offset d, whether x and x + d lie in the same object; background lies in
    none. Pixels of several objects have no one patch and take no part, but as members of other patches they do. An
    entry takes part if it lies in the crop, is not void, and one of its two ends is annotated.
    """

    citation: ClassVar[str] = "Mais, Hirsch and Kainmueller, PatchPerPix for Instance Segmentation, ECCV 2020"

    patch: Patch
    """Shape of a patch in voxels, `(Z)YX`, odd (paper: 25×25, 41×41, 9×9×9)."""
    foreground: Literal["none", "foreground", "numinst"] = "none"
    """A further head: none, the centre of the patch says it (paper, ppp); `foreground`, binary cross-entropy; or
    `numinst`, cross-entropy of 0, 1 and more objects at a pixel, where objects overlap (paper, 2.3)."""

    @model_validator(mode="after")
    def _odd(self) -> Self:
        if any(n % 2 == 0 for n in self.patch):
            raise ValueError(f"patch {self._shape} must be odd along every axis, so that it has a centre")
        return self

    @property
    def _shape(self) -> str:
        return "×".join(map(str, self.patch))

    def heads(self, ndim: int) -> tuple[Head, ...]:
        if len(self.patch) != ndim:
            raise ValueError(f"patch {self._shape} has {len(self.patch)} axes and the images have {ndim}")
        patches = Head("patches", prod(self.patch), "sigmoid", "patch", self.patch)
        match self.foreground:
            case "none":
                return (patches,)
            case "foreground":
                return patches, Head("foreground", 1, "sigmoid")
            case "numinst":
                return patches, Head("numinst", 3, "softmax")

    def deduced(self, survey: Survey) -> Deduced:
        return {"patch": fitting(survey)} if survey.objects else {}

    def targets(self, truth: Truth) -> dict[str, np.ndarray[Any, Any]]:
        """`layers` `(L, *S)` int32 and `void` `(1, *S)` bool: patches are compared where they are needed."""
        void = np.zeros(truth.shape, bool) if truth.void is None else truth.void
        return {"layers": truth.layers, "void": void[None]}


class PatchLoss(OfPatches):
    """Binary cross-entropy of all entries of the patches, mean over what is known (paper, 2.2), and that of the
    foreground."""

    kind: Literal["ppp"] = "ppp"
    title: ClassVar[str] = "PatchPerPix: each pixel knows the shape around it"
    patch: Patch = (25, 25)
    """Shape of a patch in voxels, `(Z)YX`, odd (paper: 25×25, 41×41, 9×9×9)."""
    where: Where = "everywhere"
    """Pixels whose patches learn: all (paper, ppp), or those of one object (paper, ppp+dec)."""
    pixels: Pixels = None
    """So many of them, drawn anew for each step; null: all (paper, ppp). ppp+dec: 1024 (reference)."""
    overlap_members: Literal["keep", "drop"] = "keep"
    """Pixels of several objects as members of patches of others: keep them, or leave them out (reference)."""
    weight: Annotated[float, Field(gt=0)] = 1.0
    """Weight of the patches relative to the further head (paper: 1)."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.where == "foreground" and self.foreground == "none":
            raise ValueError("where=foreground needs a head that tells the foreground: foreground=foreground|numinst")
        return self

    def build(self) -> torch.nn.Module:
        from toolkit_ppp.criterion import PatchCriterion

        return PatchCriterion(self.patch, self.foreground, self.where, self.pixels, self.overlap_members, self.weight)


class AutoencoderLoss(OfPatches):
    """First step of `ppp+ae`: encoder and decoder learn to rebuild true patches of pixels of one object; binary
    cross-entropy, mean over what is known (paper, 2.2).

    The U-Net learns nothing yet. Train with `ppp_code` afterwards, from the weights of this training.
    """

    kind: Literal["ppp_autoencoder"] = "ppp_autoencoder"
    title: ClassVar[str] = "PatchPerPix: codes of shapes, first step"
    prepares: ClassVar[bool] = True
    pixels: Pixels = 1024
    """So many patches, drawn anew for each step; null: all (ours)."""

    def build(self) -> torch.nn.Module:
        from toolkit_ppp.criterion import AutoencoderCriterion

        return AutoencoderCriterion(self.patch, self.pixels)


class CodeLoss(OfPatches):
    """Second step of `ppp+ae`: the U-Net learns the codes that the encoder, which learns no more, gives true patches;
    sum of squared differences, mean over pixels, and the cross-entropy of the foreground (paper, 2.2).

    Patches that are not known completely, such as those that the crop cuts, have no code. Where a network has no codes
    its patches themselves are compared, probabilities with truth.
    """

    kind: Literal["ppp_code"] = "ppp_code"
    title: ClassVar[str] = "PatchPerPix: codes of shapes, second step"
    where: Where = "everywhere"
    """Pixels whose codes are learnt: all (paper), or those of one object."""
    pixels: Pixels = 1024
    """So many of them, drawn anew for each step; null: all (paper)."""

    def build(self) -> torch.nn.Module:
        from toolkit_ppp.criterion import CodeCriterion

        return CodeCriterion(self.patch, self.foreground, self.where, self.pixels)
