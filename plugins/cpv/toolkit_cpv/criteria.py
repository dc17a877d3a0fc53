"""The losses as modules: `(heads, targets) -> {term: scalar}`. Nothing known in a batch gives 0."""

# ruff: noqa: TID253
# Only the `build()` of the losses imports this file.

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from toolkit_cpv.targets import UNKNOWN, Balance

Tensors = dict[str, Tensor]
LEAST, MOST = 0.05, 0.95
"""Bounds of a class's share of a batch when classes are balanced (reference)."""
BACKGROUND_WEIGHT = 0.01
"""Weight of the vectors of background with `balance: reference`."""


class ThreeLabelCriterion(nn.Module):
    """Softmax cross-entropy, mean over the known voxels."""

    def __init__(self, weight: float, balance: Balance) -> None:
        super().__init__()
        self.weight, self.balance = weight, balance

    def forward(self, heads: Tensors, targets: Tensors) -> Tensors:
        wanted = targets["classes"][:, 0].long()
        entropy = functional.cross_entropy(heads["three_label"], wanted, ignore_index=UNKNOWN, reduction="none")
        if self.balance == "reference":
            entropy = entropy * balanced(wanted, 3)
        return {"three_label": self.weight * mean(entropy, wanted != UNKNOWN)}


class AffinitiesCriterion(nn.Module):
    """Binary cross-entropies of affinities and of foreground, each the mean over what is known."""

    def __init__(self, weight: float, balance: Balance) -> None:
        super().__init__()
        self.weight, self.balance = weight, balance

    def forward(self, heads: Tensors, targets: Tensors) -> Tensors:
        return {name: self.weight * self._entropy(heads[name], targets[name]) for name in targets}

    def _entropy(self, raw: Tensor, wanted: Tensor) -> Tensor:
        known = wanted != UNKNOWN
        entropy = functional.binary_cross_entropy_with_logits(raw, (wanted == 1).to(raw.dtype), reduction="none")
        if self.balance == "reference":
            entropy = entropy * balanced(wanted.long(), 2)
        return mean(entropy, known)


class SdtCriterion(nn.Module):
    """Squared distance from the interval of possible values, mean over the known voxels."""

    def __init__(self, weight: float) -> None:
        super().__init__()
        self.weight = weight

    def forward(self, heads: Tensors, targets: Tensors) -> Tensors:
        low, high = targets["sdt"][:, :1], targets["sdt"][:, 1:]
        error = heads["sdt"] - torch.minimum(torch.maximum(heads["sdt"].detach(), low), high)
        return {"sdt": self.weight * mean(error**2, targets["known"])}


class GaussCriterion(nn.Module):
    """Squared error, mean over the known voxels."""

    def __init__(self, weight: float) -> None:
        super().__init__()
        self.weight = weight

    def forward(self, heads: Tensors, targets: Tensors) -> Tensors:
        return {"gauss": self.weight * mean((heads["gauss"] - targets["gauss"]) ** 2, targets["known"])}


class CpvCriterion(nn.Module):
    """Squared error, mean over foreground voxels and axes."""

    def __init__(self, weight: float, balance: Balance) -> None:
        super().__init__()
        self.weight, self.balance = weight, balance

    def forward(self, heads: Tensors, targets: Tensors) -> Tensors:
        square = ((heads["cpv"] - targets["cpv"]) ** 2).mean(1, keepdim=True)
        inside = targets["inside"]
        if self.balance == "none":
            return {"cpv": self.weight * mean(square, inside == 1)}
        weight = torch.where(inside == 1, 1.0, BACKGROUND_WEIGHT)
        return {"cpv": self.weight * mean(square * weight, inside != UNKNOWN)}


def mean(values: Tensor, known: Tensor) -> Tensor:
    """Mean of the known values."""
    return torch.where(known, values, 0).sum() / known.sum().clamp(min=1)


def balanced(wanted: Tensor, classes: int) -> Tensor:
    """Weight of each voxel so that classes count alike; `wanted` int64, UNKNOWN where there is none."""
    known = wanted != UNKNOWN
    share = torch.bincount(wanted[known], minlength=classes) / known.sum().clamp(min=1)
    weight = 1 / (classes * share.clamp(LEAST, MOST))
    return weight[wanted.clamp(min=0)]
