"""The loss of StarDist in torch: cross-entropy of the probability, and rays by their distance where it is high."""

import torch
from torch.nn import functional


class Criterion(torch.nn.Module):
    def forward(self, heads, targets):
        known, sure = targets["known"].float(), targets["probability"]
        middle = functional.binary_cross_entropy_with_logits(heads["probability"], sure, reduction="none")
        off = (heads["distances"] - targets["distances"]).abs().mean(1, keepdim=True)
        weight = known * sure
        return {
            "probability": (middle * known).sum() / known.sum().clamp(min=1),
            "distances": 0.2 * (off * weight).sum() / weight.sum().clamp(min=1),
        }
