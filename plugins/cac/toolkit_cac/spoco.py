"""Vectors that select an object each, from a few annotated ones."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from toolkit.api import Member, Network, Phase, Truth
from toolkit_cac.network import ResidualUNet
from toolkit_cac.numbered import numbered
from toolkit_cac.selection import Selection

if TYPE_CHECKING:
    import numpy as np
    import torch


class SpocoLoss(Selection):
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

    def targets(self, truth: Truth) -> dict[str, np.ndarray[Any, Any]]:
        """Those of `decided`, and `objects` `(L, *S)` int32: 1…N, 0 background, −1 unannotated, −2 void."""
        background: Literal["object", "apart"] = "object" if self.foreground else "apart"
        return {**self.decided(truth, background), "objects": numbered(truth)}

    def build(self) -> torch.nn.Module:
        from toolkit_cac import criteria

        return criteria.Annotated(1.0, 1.0)

    def members(self, network: Network, ndim: int) -> dict[str, Member[Network]]:
        if not isinstance(network, ResidualUNet) or network.reach is None:
            raise ValueError(
                f"spoco needs a network whose affinities tell how near vectors are, not {network.kind} as it is; "
                "choose network residual_unet and set network.reach=4"
            )
        return {}

    def phases(self) -> tuple[Phase, ...]:
        from toolkit_cac import teaching

        return (Phase("selecting", partial(teaching.selecting, self)),)
