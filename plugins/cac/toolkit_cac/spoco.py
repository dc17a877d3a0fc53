"""Vectors that select an object each, from a few annotated ones."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from toolkit.api import Member, Network, Phase, Truth
from toolkit_cac.network import ResidualUNet
from toolkit_cac.numbered import numbered
from toolkit_cac.paired import Paired

if TYPE_CHECKING:
    import torch

Weight = Annotated[float, Field(ge=0)]


class SpocoLoss(Paired):
    """Vectors of voxels from annotated objects and, elsewhere, from what a slow copy of the network selects (Wolny et
    al., *Sparse Object-level Supervision for Instance Segmentation with Pixel Embeddings*).

    Vectors of an annotated object are pulled to their mean, means are pushed apart and away from what is in no object,
    and the soft mask of a random voxel of an object should be that object. Where nothing is annotated, soft masks of
    random voxels should be the same in another view for the average of the network's weights. Needs a network
    `residual_unet` with `embedding` and `reach`, whose affinities tell how near vectors are.
    """

    kind: Literal["spoco"] = "spoco"
    title: ClassVar[str] = "vectors that select an object, from sparse labels"
    citation: ClassVar[str] = (
        "Wolny, Yu, Pape and Kreshuk, Sparse Object-level Supervision for Instance Segmentation with Pixel Embeddings, "
        "CVPR 2022"
    )
    fit: ClassVar[float] = 0.5

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
    def _apart(self) -> SpocoLoss:
        if self.beyond <= self.within:
            raise ValueError(f"beyond must be more than within, or nothing is apart: {self.beyond} ≤ {self.within}")
        return self

    def targets(self, truth: Truth) -> dict[str, np.ndarray[Any, Any]]:
        """Those of `decided`, and `objects` `(L, *S)` int32: 1…N, 0 background, −1 unannotated, −2 void."""
        return {**self.decided(truth, "object"), "objects": numbered(truth)}

    def build(self) -> torch.nn.Module:
        from toolkit_cac import criteria

        return criteria.Annotated(1.0, 1.0)

    def members(self, network: Network, ndim: int) -> dict[str, Member[Network]]:
        if not isinstance(network, ResidualUNet) or network.reach is None:
            raise ValueError(
                f"loss spoco needs a network whose affinities tell how near vectors are, not {network.kind} as it is; "
                "choose network residual_unet and set network.reach=4"
            )
        return {}

    def phases(self) -> tuple[Phase, ...]:
        from toolkit_cac import teaching

        return (Phase("selecting", partial(teaching.selecting, self)),)
