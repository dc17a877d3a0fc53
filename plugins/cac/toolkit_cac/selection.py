"""What can be chosen of vectors that select an object."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from toolkit_cac.paired import Paired

Weight = Annotated[float, Field(ge=0)]


class Selection(Paired):
    """The fields of `SpocoLoss`: what the module of its phase is made from."""

    within: Annotated[float, Field(gt=0)] = 0.5
    """Distance from the mean of its object up to which a vector is near enough (δ_v, published for these data)."""
    beyond: Annotated[float, Field(gt=0)] = 2.0
    """Distance from the mean of an object from which on a vector of no object is far enough; means: twice that (δ_d,
    published)."""
    chosen: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """Value of a soft mask at the distance `within` from its anchor (t, published for these data)."""
    pull: Weight = 1.0
    """Weight of the distance of vectors from the mean of their object (De Brabandere et al. 2017)."""
    push: Weight = 1.0
    """Weight of the nearness of means to each other (De Brabandere et al. 2017)."""
    short: Weight = 1e-3
    """Weight of the length of means (De Brabandere et al. 2017)."""
    rest: Weight = 1.0
    """Weight of the nearness of means to what is in no annotated object (published)."""
    selected: Weight = 1.0
    """Weight of how soft masks of annotated objects differ from these (published)."""
    consistency: Weight = 1.0
    """Weight of how soft masks of unannotated voxels differ from those of the average (published); with 0 there is no
    second view, and a step costs less."""
    anchors: Annotated[int, Field(ge=1)] = 32
    """Most unannotated voxels of an image whose soft masks are compared; fewer, if their masks cover all (ours)."""
    jitter: Weight = 0.1
    """How different the other view is, in units of the normalised intensity (ours)."""

    @model_validator(mode="after")
    def _apart(self) -> Selection:
        if self.beyond <= self.within:
            raise ValueError(f"beyond must be more than within, or nothing is apart: {self.beyond} ≤ {self.within}")
        return self
