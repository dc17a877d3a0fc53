"""What can be chosen of the method."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from toolkit_cac.paired import Paired

OTHER, JUDGE = "explicit", "judge"
"""The members beside the recipe's own network: the branch without embedding, and the confidence network."""


class Options(Paired):
    """The fields of `CacLoss`: what the modules of its phases are made from."""

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
