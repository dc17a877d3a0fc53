"""The confidence network: where an affinity map is wrong. B batch, K pairs, *S space."""

# ruff: noqa: TID253
# Only what `CacLoss` builds imports this file.

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from toolkit.api import Team
from toolkit_cac.criteria import Tensors, entropy
from toolkit_cac.options import JUDGE, OTHER, Options

DROP = 0.1
"""Largest share of values that the last two layers of a branch lose when it stands for one that errs (reference)."""


class Judging(nn.Module):
    """Cross-entropy of the judge on the annotated pairs, divided by their number, summed over channels (supplement,
    Eq 2), on the affinities of a branch at one of its earlier states, both drawn for each step."""

    def __init__(self, loss: Options) -> None:
        super().__init__()
        self.loss = loss

    def forward(self, team: Team, voxels: Tensor, targets: Tensors) -> dict[str, Tensor]:
        name = ("network", OTHER)[int(torch.randint(2, ()))]
        states = team.kept(name)
        state = states[int(torch.randint(len(states), ()))]
        with torch.no_grad(), dropping(team.module(name), float(torch.rand(())) * DROP):
            said = probability(name, team(name, voxels, state)["affinities"])
        wanted = targets["affinities"]
        known = wanted >= 0
        wrong = (said >= 0.5) != (wanted == 1)
        raw = doubts(team, voxels, said, self.loss.judge == "each")
        each = functional.binary_cross_entropy_with_logits(raw, wrong.float(), reduction="none")
        axes = [0, *range(2, wanted.ndim)]
        if self.loss.judge_weight == "reference":
            right, bad = (known & ~wrong).sum(axes), (known & wrong).sum(axes)
            odds = (right / bad.clamp(min=1) + 1).reshape(1, -1, *[1] * (wanted.ndim - 2))
            each = torch.where(wrong, odds, 1.0) * each
        return {"judge": (torch.where(known, each, 0).sum(axes) / known.sum(axes).clamp(min=1)).sum()}


@contextmanager
def dropping(branch: Any, share: float) -> Iterator[None]:
    """Let the last two layers of a branch lose a share of what they see, if it is one that can."""
    if not hasattr(branch, "drop"):
        yield
        return
    branch.drop = share
    try:
        yield
    finally:
        branch.drop = 0.0


def probability(name: str, raw: Tensor) -> Tensor:
    """Affinities in [0, 1] of a branch: products of vectors are cut, outputs of their own go through a sigmoid."""
    return raw.clamp(0, 1) if name == "network" else raw.sigmoid()


def doubts(team: Team, voxels: Tensor, said: Tensor, each: bool) -> Tensor:
    """`(B, K, *S)` raw: above 0 where the judge takes an affinity for wrong. It sees the image, the affinities and
    their entropies, of all pairs at once, or of one after the other."""
    if not each:
        return team(JUDGE, torch.cat([voxels, said, entropy(said)], 1))["wrong"]
    parts = [torch.cat([voxels, a, entropy(a)], 1) for a in torch.split(said, 1, 1)]
    return torch.cat([team(JUDGE, part)["wrong"] for part in parts], 1)
