"""What can be chosen of the method."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from toolkit.api import Loss, Offset
from toolkit_cac.pairs import usual_pairs

OTHER, JUDGE = "explicit", "judge"
"""The members beside the recipe's own network: the branch without embedding, and the confidence network."""


class Options(Loss):
    """The fields of `CacLoss`: what the modules of its phases are made from."""

    offsets: tuple[Offset, ...] | None = None
    """Channel k is the affinity of x and x + offsets[k], `(Z)YX` voxels; null is −1, −3, −5, −9, −27 along both axes in
    2-D (supplement, §3), and −1, −2, −3, −4 along z and −1, −3, −9, −27 along y and x in 3-D (reference)."""
    foreground: bool = True
    """Also learn head `foreground`, which a mutex watershed needs (ours)."""
    background: Literal["object", "apart"] = "object"
    """Pairs of known background: `object` 1, as in one object (reference); `apart` 0, for objects between
    membranes."""
    teaching: Literal["none", "ungated", "entropy", "full"] = "full"
    """Who teaches where nothing is annotated: nobody, and there is no other branch; the other branch wherever it says
    something, where its entropy is low, or where, besides, the judge finds no fault."""
    supervised: Annotated[float, Field(gt=0)] = 10.0
    """Weight of annotated pairs (reference)."""
    taught: Annotated[float, Field(gt=0)] = 1.0
    """Weight of the other pairs (reference)."""
    near: Annotated[float, Field(gt=0)] = 10.0
    """Weight of face neighbours, relative to pairs that are farther apart (reference)."""
    entropy_keep: Annotated[float, Field(gt=0, le=1)] = 0.8
    """Share of a channel's pairs, those of least entropy, that may teach (ours; the reference keeps .995 and more,
    which gates nothing)."""
    judge: Literal["all", "each"] = "all"
    """Whether the judge sees all channels at once (supplement, §1), or one at a time, which takes as many times as long
    and is good for other offsets, too (reference)."""
    judge_weight: Literal["none", "reference"] = "none"
    """Wrong pairs weigh as right ones (supplement, Eq 2), or right/wrong + 1 (reference)."""
    shares: tuple[Annotated[float, Field(gt=0)], ...] = Field(default=(0.4, 0.2, 0.4), min_length=3, max_length=3)
    """Parts of the training: the branches alone, the judge, the branches with each other (published: equal steps)."""
    ramp: Annotated[float, Field(ge=0, le=1)] = 0.3
    """Part of the last phase in which `taught` rises from 0 (ours)."""

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
