"""Losses of affinities and foreground. B batch, K pairs, *S space. Nothing known gives 0, and never a NaN."""

# ruff: noqa: TID253
# Only what `CacLoss` builds imports this file.

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from toolkit_cac.pairs import FREE

Tensors = Mapping[str, Tensor]
LEAST, MOST = 0.05, 0.99
"""Bounds of the share of ones among the annotated pairs of a channel, for the balance (reference)."""
TINY = 1e-10
"""Inside the logarithms of the entropy (reference)."""


class Annotated(nn.Module):
    """`(heads, targets) -> {term: scalar}`: what annotations alone teach the recipe's heads."""

    def __init__(self, weight: float, near: float) -> None:
        super().__init__()
        self.weight, self.near = weight, near

    def forward(self, heads: Tensors, targets: Tensors) -> dict[str, Tensor]:
        said, wanted = heads["affinities"].float(), targets["affinities"]
        terms = {"own": self.weight * supervised(said, wanted, importance(targets, self.near))}
        if "foreground" in targets:
            terms["foreground"] = foreground(heads["foreground"].float(), targets["foreground"])
        return terms


def importance(targets: Tensors, near: float) -> Tensor:
    """`(K,)`: `near` for face neighbours, 1 for others."""
    return torch.where(targets["near"][0, :, 0], near, 1.0)


def supervised(said: Tensor, wanted: Tensor, importance: Tensor) -> Tensor:
    """Squared error of affinities on the annotated pairs, in which ones and zeros count alike."""
    known, one = wanted >= 0, wanted == 1
    axes = [0, *range(2, wanted.ndim)]
    share = (one.sum(axes) / known.sum(axes).clamp(min=1)).clamp(LEAST, MOST)
    odds = (share / (1 - share)).reshape(1, -1, *[1] * (wanted.ndim - 2))
    return squared(said, one.float(), torch.where(one, 1.0, odds) * known, known, importance)


def squared(said: Tensor, wanted: Tensor, weight: Tensor, where: Tensor, importance: Tensor) -> Tensor:
    """Σ over channels of importance · (Σ weight (said − wanted)² / number of pairs `where`)."""
    axes = [0, *range(2, said.ndim)]
    error = torch.where(where, weight * (said - wanted) ** 2, 0).sum(axes) / where.sum(axes).clamp(min=1)
    return (importance * error).sum()


def entropy(p: Tensor) -> Tensor:
    """Of an affinity in [0, 1], in natural units."""
    return -(p * (p + TINY).log() + (1 - p) * (1 - p + TINY).log())


def surest(uncertainty: Tensor, free: Tensor, keep: float) -> Tensor:
    """Of the pairs `free` of each channel, the share `keep` of least entropy; of equal ones all."""
    chosen = torch.zeros_like(free)
    for k in range(free.shape[1]):
        values = uncertainty[:, k][free[:, k]]
        if len(values):
            least = values.kthvalue(max(1, round(keep * len(values)))).values
            chosen[:, k] = free[:, k] & (uncertainty[:, k] <= least)
    return chosen


def foreground(raw: Tensor, wanted: Tensor, objects: Tensor | None = None) -> Tensor:
    """Cross-entropy in which foreground and background count alike.

    Without `objects`, all that is unannotated in a crop with annotated objects is taken for background: a voxel that
    looks like foreground is then still found above 1/2, as it is the rarer among those. With `objects` `(B, 1, *S)`,
    only what lies in none of these.
    """
    one, zero, free = wanted == 1, wanted == 0, wanted == FREE
    if objects is None:
        zero = zero | (free & one.flatten(1).any(1).reshape(-1, *[1] * (wanted.ndim - 1)))
    else:
        zero = zero | (free & ~objects)
    each = functional.binary_cross_entropy_with_logits(raw, one.float(), reduction="none")
    parts = [torch.where(where, each, 0).sum() / where.sum().clamp(min=1) for where in (one, zero)]
    return (parts[0] + parts[1]) / 2


def possible(raw: Tensor, targets: Tensors) -> Tensor:
    """What may be an object `(B, 1, *S)`: within a median radius of any that is annotated or predicted."""
    return around((raw.detach() > 0) | (targets["foreground"] == 1), targets["radius"])


def around(inside: Tensor, radius: Tensor) -> Tensor:
    """What lies within `radius` `(B, D)` voxels of `inside` `(B, 1, *S)` bool along every axis; everything where the
    radius is 0, for it is not known."""
    found = []
    for mask, reach in zip(inside, torch.round(radius).int().tolist(), strict=True):
        found.append(_grown(mask.float(), reach) > 0 if any(reach) else torch.ones_like(mask))
    return torch.stack(found)


def _grown(mask: Tensor, reach: Sequence[int]) -> Tensor:
    pool = functional.max_pool2d if len(reach) == 2 else functional.max_pool3d
    for axis, r in enumerate(reach):
        kernel = [2 * r + 1 if a == axis else 1 for a in range(len(reach))]
        mask = pool(mask, kernel, 1, [k // 2 for k in kernel])
    return mask
