# ruff: noqa: TID253
# Nobody imports this file but who joins it to a package.
"""The network of patches with a patch at every pixel, for packages: `unet.py` without what only training needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from toolkit.api import Head, Trunk


class PatchesEverywhere(nn.Module):
    """`(B, channels, *S) -> {head: (B, head.channels, *S)}`, raw; `trunk` are the arguments of `Trunk`."""

    def __init__(self, heads: Sequence[Head], **trunk: Any) -> None:
        super().__init__()
        self.features = Trunk(he=True, **trunk)
        self.heads = nn.ModuleDict({head.name: nn.Linear(self.features.outputs, head.channels) for head in heads})

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        maps = self.features(image).movedim(1, -1)
        return {name: layer(maps).movedim(-1, 1) for name, layer in self.heads.items()}
