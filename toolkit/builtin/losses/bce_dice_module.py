"""The module behind `bce_dice`."""

# ruff: noqa: TID253
# Only `BceDice.build` imports this file.

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn.functional import binary_cross_entropy_with_logits


class BceDiceModule(torch.nn.Module):
    """`(heads, targets) -> {term: scalar}`; a target below 0 leaves its voxel out."""

    def __init__(self, names: Sequence[str], dice: float) -> None:
        super().__init__()
        self.names = tuple(names)
        self.dice = dice

    def forward(self, heads: dict[str, torch.Tensor], targets: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        terms = {}
        for name in self.names:
            raw = heads[name].float()
            known = (targets[name] >= 0).float()
            wanted = targets[name].float() * known
            per_voxel = binary_cross_entropy_with_logits(raw, wanted, weight=known, reduction="sum")
            terms[f"{name}_bce"] = per_voxel / known.sum().clamp(min=1)
            if self.dice:
                terms[f"{name}_dice"] = self.dice * _dice(torch.sigmoid(raw) * known, wanted)
        return terms


def _dice(found: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """1 − Dice, mean over the batch; one voxel is added above and below, so that nothing in both is a perfect match."""
    found, wanted = found.flatten(1), wanted.flatten(1)
    shared = (found * wanted).sum(1)
    return (1 - (2 * shared + 1) / (found.sum(1) + wanted.sum(1) + 1)).mean()
