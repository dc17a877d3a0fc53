"""The two branches: each by what is annotated, and in the last phase also by the other. B batch, K pairs, *S space."""

# ruff: noqa: TID253
# Only what `CacLoss` builds imports this file.

from __future__ import annotations

import torch
from torch import Tensor, nn

from toolkit.api import Team
from toolkit_cac.criteria import Tensors, entropy, foreground, importance, possible, squared, supervised, surest
from toolkit_cac.judge import doubts, probability
from toolkit_cac.options import OTHER, Options
from toolkit_cac.pairs import FREE


class Branches(nn.Module):
    """`(team, voxels, targets) -> {term: scalar}`."""

    def __init__(self, loss: Options, together: bool) -> None:
        super().__init__()
        self.loss, self.together = loss, together

    def forward(self, team: Team, voxels: Tensor, targets: Tensors) -> dict[str, Tensor]:
        loss, wanted, heavy = self.loss, targets["affinities"], importance(targets, self.loss.near)
        heads = team("network", voxels)
        own = heads["affinities"]
        terms = {"own": loss.supervised * supervised(own, wanted, heavy)}
        if loss.foreground:
            # In the first phase nothing predicted is worth a look.
            objects = possible(heads["foreground"], targets) if self.together else None
            terms["foreground"] = foreground(heads["foreground"], targets["foreground"], objects)
        if loss.teaching == "none":
            return terms
        other = probability(OTHER, team(OTHER, voxels)["affinities"])
        terms["other"] = loss.supervised * supervised(other, wanted, heavy)
        if not self.together:
            return terms
        free, weight = wanted == FREE, loss.taught * self._risen(team)
        for name, said, teacher in (("own", own, other), ("other", other, probability("network", own))):
            lesson = teacher.detach()
            trusted = self._trusted(team, voxels, lesson, free)
            terms[f"{name}_taught"] = weight * squared(said, lesson, trusted.float(), trusted, heavy)
        return terms

    @torch.no_grad()
    def _trusted(self, team: Team, voxels: Tensor, said: Tensor, free: Tensor) -> Tensor:
        """Which of the `free` pairs may teach."""
        if self.loss.teaching == "ungated":
            return free
        trusted = surest(entropy(said), free, self.loss.entropy_keep)
        if self.loss.teaching == "full":
            trusted &= doubts(team, voxels, said, self.loss.judge == "each") < 0
        return trusted

    def _risen(self, team: Team) -> float:
        """How much of the weight of teaching there is at this step."""
        return min(1.0, (team.step + 1) / max(1.0, self.loss.ramp * team.steps))
