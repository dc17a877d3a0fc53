"""What `spoco` minimises: an object is what one of its vectors selects. B batch, E numbers of a vector, *S space."""

# ruff: noqa: TID253
# Only what `SpocoLoss` builds imports this file.

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from toolkit.api import Team
from toolkit_cac import vectors
from toolkit_cac.criteria import Tensors, foreground, possible
from toolkit_cac.pairs import BEYOND, FREE
from toolkit_cac.selection import Selection

ALONE = 0.5
"""Part of the training in which nothing predicted is worth a look, and all that is unannotated taken for background."""

TERMS = ("pull", "push", "short", "rest", "selected", "consistency")


class Selecting(nn.Module):
    """`(team, voxels, targets) -> {term: scalar}`, each term the mean over the images that have what it speaks of."""

    def __init__(self, loss: Selection) -> None:
        super().__init__()
        self.loss = loss

    def forward(self, team: Team, voxels: Tensor, targets: Tensors) -> dict[str, Tensor]:
        loss, objects = self.loss, targets["objects"].flatten(2)
        slow: Tensor | None = None
        with bare(team.module("network")):
            heads = team("network", voxels)
            if loss.consistency and bool((objects == FREE).any()):
                with torch.no_grad():
                    other = seen_again(voxels, loss.jitter)
                    slow = rows(team("network", other, team.averaged("network"))["affinities"])
        fast = rows(heads["affinities"])
        found = [self._of_objects(own, image) for own, image in zip(fast, objects, strict=True)]
        if slow is not None:
            free = (objects == FREE).any(1)
            found += [self._agreed(*image) for image in zip(fast, slow, free, strict=True)]
        terms = {name: mean([f[name] for f in found if name in f], fast) for name in TERMS}
        if loss.foreground:
            late = team.step >= ALONE * team.steps
            around = possible(heads["foreground"], targets) if late else None
            terms["foreground"] = foreground(heads["foreground"], targets["foreground"], around)
        return terms

    def _of_objects(self, own: Tensor, image: Tensor) -> dict[str, Tensor]:
        """Terms of annotated objects, from vectors `(N, E)` and the numbered objects `(L, N)`."""
        loss, count = self.loss, int(image.max())
        if count < 1:
            return {}
        inside = torch.stack([(image == k).any(0) for k in range(1, count + 1)])
        seen = (image != BEYOND).all(0)
        centre = vectors.means(own, inside)
        distance = vectors.distances(centre, own)
        chosen = vectors.masks(own[vectors.drawn(inside)], own, loss.within, loss.chosen) * seen
        return {
            "pull": loss.pull * vectors.pull(distance, inside, loss.within),
            "push": loss.push * vectors.push(centre, loss.beyond),
            "short": loss.short * vectors.short(centre),
            "rest": loss.rest * vectors.push_rest(distance, seen & ~inside.any(0), loss.beyond),
            "selected": loss.selected * vectors.dice(chosen, inside.to(own.dtype)).mean(),
        }

    def _agreed(self, own: Tensor, slow: Tensor, free: Tensor) -> dict[str, Tensor]:
        """Term of the voxels `free` `(N,)`, from vectors `(N, E)` of the network and of its average."""
        loss = self.loss
        at = vectors.anchors(own.detach(), free, loss.within, loss.chosen, loss.anchors)
        if not len(at):
            return {}
        mine, theirs = (vectors.masks(v[at], v[free], loss.within, loss.chosen) for v in (own, slow))
        return {"consistency": loss.consistency * vectors.dice(mine, theirs).mean()}


def mean(terms: list[Tensor], vectors: Tensor) -> Tensor:
    """Of a term in several images; in none 0, which still depends on the weights."""
    return torch.stack(terms).mean() if terms else 0 * vectors.sum()


def rows(embedding: Tensor) -> Tensor:
    """`(B, E, *S) -> (B, N, E)`."""
    return embedding.flatten(2).transpose(1, 2).contiguous()


def seen_again(voxels: Tensor, jitter: float) -> Tensor:
    """Another view of the same voxels: each channel brighter and of another contrast, by up to `jitter`, with noise of
    half as much."""
    drawn = torch.rand((2, *voxels.shape[:2], *[1] * (voxels.ndim - 2)), device=voxels.device) * 2 - 1
    contrast, light = jitter * drawn
    other: Tensor = voxels * (1 + contrast) + light + jitter / 2 * torch.randn_like(voxels)
    return other


@contextmanager
def bare(network: Any) -> Iterator[None]:
    """Let a network give its vectors in place of affinities."""
    network.bare = True
    try:
        yield
    finally:
        network.bare = False
