"""What the branches learn, and in which phases."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from toolkit.api import Head, Member, Network, Phase, Truth
from toolkit_cac.options import JUDGE, OTHER, Options

if TYPE_CHECKING:
    import numpy as np
    import torch

KEPT = (0.005, 0.025, 0.05, 0.25, 0.5)
"""Parts of the branches' training after which their weights are kept for the judge (supplement, Eq 1)."""


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
    fit: ClassVar[float] = 0.95

    def targets(self, truth: Truth) -> dict[str, np.ndarray[Any, Any]]:
        """Those of `decided`."""
        return self.decided(truth, self.background)

    def build(self) -> torch.nn.Module:
        from toolkit_cac.criteria import Annotated

        return Annotated(self.supervised, self.near)

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
