"""The loss in torch."""

import torch
from torch.nn import functional


class Criterion(torch.nn.Module):
    def forward(self, heads, targets):
        known = targets["known"].float()
        count = known.sum().clamp(min=1)

        def mean(name):
            raw = heads[name]
            each = functional.binary_cross_entropy_with_logits(raw, targets[name], reduction="none")
            return (each * known).sum() / count

        return {name: mean(name) for name in ("foreground", "boundary")}
