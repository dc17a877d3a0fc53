# ruff: noqa: TID253
# Only the `build()` of the losses imports this file.
"""The losses as modules: `(heads, targets) -> {term: scalar}`. Nothing known in a batch gives 0."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from toolkit_ppp.lazy import Lazy, rows
from toolkit_ppp.members import OVERLAP, UNKNOWN, Members

if TYPE_CHECKING:
    from toolkit_ppp.loss import PatchLoss

Heads = dict[str, "Tensor | Lazy"]
Targets = dict[str, Tensor]


class PatchCriterion(nn.Module):
    """Cross-entropies of patches and of the foreground."""

    def __init__(self, spec: PatchLoss) -> None:
        super().__init__()
        self.spec = spec

    def forward(self, heads: Heads, targets: Targets) -> Targets:
        members = Members(targets["layers"], targets["void"][:, 0], self.spec.patch)
        pixels = members.pixels(self.spec.where, self.spec.pixels)
        wanted, known = members.patches(pixels, self.spec.overlap_members)
        raw = rows(heads["patches"], pixels)
        entropy = functional.binary_cross_entropy_with_logits(raw, wanted, reduction="none")
        terms = {"patches": self.spec.weight * mean(entropy, known)}
        if self.spec.foreground != "none":
            head = heads[self.spec.foreground]
            assert isinstance(head, Tensor), "only patches are lazy"
            terms[self.spec.foreground] = foreground(head, members.state)
        return terms


def foreground(head: Tensor, state: Tensor) -> Tensor:
    """Cross-entropy of the head `foreground` (one channel) or `numinst` (three), mean over known pixels."""
    known = state > UNKNOWN
    if head.shape[1] == 1:
        wanted = (state > 0).to(head.dtype)
        entropy = functional.binary_cross_entropy_with_logits(head[:, 0], wanted, reduction="none")
    else:
        entropy = functional.cross_entropy(head, state.clamp(0, OVERLAP).long(), reduction="none")
    return mean(entropy, known)


def mean(values: Tensor, known: Tensor) -> Tensor:
    """Mean of the known values."""
    return torch.where(known, values, 0).sum() / known.sum().clamp(min=1)
