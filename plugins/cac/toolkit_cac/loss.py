"""What the branches learn, and in which phases."""

from __future__ import annotations

from functools import partial
from math import gamma, pi
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from toolkit.api import Fit, Head, Member, Network, Phase, Survey, Truth
from toolkit_cac.options import JUDGE, OTHER, Options
from toolkit_cac.pairs import foreground, pairs

if TYPE_CHECKING:
    import torch

KEPT = (0.005, 0.025, 0.05, 0.25, 0.5)
"""Parts of the branches' training after which their weights are kept for the judge (supplement, Eq 1)."""
SPARSE = 0.2
"""Share of voxels without annotation from which on a data set is sparsely annotated."""


class CacLoss(Options):
    """Affinities by squared error where they are annotated, and elsewhere by what another branch, which has another
    representation of them, is sure of (Liu et al., *Learning Cross-Representation Affinity Consistency*).

    The recipe's network, by an embedding, and a member without one learn the annotated pairs; a third network learns
    from earlier states of both where they are wrong; then both go on, each also taught by the other's affinities,
    detached, on pairs that no annotation decides, where their entropy is low and the third network finds no fault.
    The model is the recipe's network alone.
    """

    kind: Literal["cac"] = "cac"
    title: ClassVar[str] = "affinities from sparse labels"
    citation: ClassVar[str] = (
        "Liu et al., Learning Cross-Representation Affinity Consistency for Sparsely Supervised Biomedical Instance "
        "Segmentation, ICCV 2023"
    )

    def heads(self, ndim: int) -> tuple[Head, ...]:
        offsets = self.pairs(ndim)
        own = Head("affinities", len(offsets), transform="affinity", offsets=offsets)
        return (own, Head("foreground", 1, "sigmoid")) if self.foreground else (own,)

    def targets(self, truth: Truth) -> dict[str, np.ndarray[Any, Any]]:
        """`affinities` `(K, *S)` int8: 1, 0, −1 unknown, −2 void or beyond the crop; `near` `(K, 1)` bool: which are of
        face neighbours; with foreground also `foreground` `(1, *S)` int8 and `radius` `(D,)` float32: of the median
        annotated object, as a ball, in voxels of each axis."""
        offsets = self.pairs(truth.ndim)
        found: dict[str, np.ndarray[Any, Any]] = {
            "affinities": np.stack([pairs(truth, offset, self.background) for offset in offsets]),
            "near": np.array([[sum(map(abs, offset)) == 1] for offset in offsets]),
        }
        if self.foreground:
            found |= {"foreground": foreground(truth)[None], "radius": _radius(truth)}
        return found

    def build(self) -> torch.nn.Module:
        from toolkit_cac.criteria import Annotated

        return Annotated(self)

    def members(self, network: Network, ndim: int) -> dict[str, Member[Network]]:
        if self.teaching == "none":
            return {}
        plain = network.model_copy(update={"embedding": None}) if "embedding" in type(network).model_fields else network
        offsets = self.pairs(ndim)
        count = len(offsets) if self.judge == "all" else 1
        explicit = Head("affinities", len(offsets), "sigmoid", transform="affinity", offsets=offsets)
        found = {OTHER: Member(plain, (explicit,))}
        if self.teaching == "full":
            found[JUDGE] = Member(plain, (Head("wrong", count, "sigmoid"),), more=2 * count)
        return found

    def phases(self) -> tuple[Phase, ...]:
        from toolkit_cac import teaching

        alone, judging, together = self.shares
        learns = ("network",) if self.teaching == "none" else ("network", OTHER)
        first = Phase("alone", partial(teaching.alone, self), alone, learns, KEPT if self.teaching == "full" else ())
        last = Phase("together", partial(teaching.together, self), together, learns)
        if self.teaching != "full":
            return first, last
        settings = {"optimiser": "adam", "weight_decay": 0.0}
        return first, Phase("judging", partial(teaching.judging, self), judging, (JUDGE,), settings=settings), last

    def suits(self, survey: Survey) -> Fit | None:
        if not survey.objects:
            return None
        bare = f"{100 * survey.unknown:.0f} % of the voxels are not annotated"
        return (
            Fit(0.95, bare) if survey.unknown > SPARSE else Fit(0.3, f"{bare}, so that others have the same to learn")
        )


def _radius(truth: Truth) -> np.ndarray[Any, Any]:
    """Of a ball as large as the median annotated object, in voxels along each axis; 0 where there is none."""
    sizes = np.unique(truth.layers[truth.layers > 0], return_counts=True)[1]
    if not len(sizes):
        return np.zeros(truth.ndim, np.float32)
    voxel = np.array(truth.voxel_size)
    volume = float(np.median(sizes)) * voxel.prod()
    radius = (volume * gamma(truth.ndim / 2 + 1) / pi ** (truth.ndim / 2)) ** (1 / truth.ndim)
    return np.asarray(radius / voxel, np.float32)
