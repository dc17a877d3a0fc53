"""What the network learns, in torch."""

import torch
from torch.nn import functional


class Criterion(torch.nn.Module):
    """(heads, targets) -> {term: scalar}; voxels that are not known count for nothing."""

    def forward(self, heads, targets):
        known = targets["known"].float()
        count = known.sum().clamp(min=1)
        inside = functional.binary_cross_entropy_with_logits(
            heads["foreground"], targets["foreground"], reduction="none"
        )
        off = (heads["distance"] - targets["distance"]).abs()
        return {"foreground": (inside * known).sum() / count, "distance": (off * known).sum() / count}
