# ruff: noqa: TID253
# Only the `build()` of the losses imports this file.
"""The losses as modules: `(heads, targets) -> {term: scalar}`. Nothing known in a batch gives 0."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from toolkit.api import UsageError
from toolkit_ppp.coded import Coded
from toolkit_ppp.lazy import Lazy, rows
from toolkit_ppp.members import OVERLAP, UNKNOWN, Members

Heads = dict[str, "Tensor | Lazy"]
Targets = dict[str, Tensor]


class PatchCriterion(nn.Module):
    """Cross-entropies of patches and of the foreground. Arguments are the fields of `PatchLoss`."""

    def __init__(
        self, patch: tuple[int, ...], foreground: str, where: str, pixels: int | None, overlap_members: str,
        weight: float,
    ) -> None:  # fmt: skip
        super().__init__()
        self.patch, self.foreground, self.where, self.pixels = patch, foreground, where, pixels
        self.overlap_members, self.weight = overlap_members, weight

    def forward(self, heads: Heads, targets: Targets) -> Targets:
        members = truth(targets, self.patch)
        pixels = members.pixels(self.where, self.pixels)
        wanted, known = members.patches(pixels, self.overlap_members)
        terms = {"patches": self.weight * mean(entropy(rows(heads["patches"], pixels), wanted), known)}
        return terms | foreground(heads, members.state, self.foreground)


class AutoencoderCriterion(nn.Module):
    """Cross-entropy of true patches and what the autoencoder makes of them."""

    def __init__(self, patch: tuple[int, ...], pixels: int | None) -> None:
        super().__init__()
        self.patch, self.pixels = patch, pixels

    def forward(self, heads: Heads, targets: Targets) -> Targets:
        head = heads["patches"]
        if not isinstance(head, Coded):
            raise UsageError(
                "this network has no autoencoder to learn",
                "loss.kind=ppp_autoencoder",
                "choose network.kind=ppp_coded with network.autoencoder=true",
            )
        members = truth(targets, self.patch)
        wanted, known = members.patches(members.pixels("foreground", self.pixels), "keep")
        # What is unknown is no part of the patch that the encoder sees.
        return {"autoencoder": mean(entropy(head.rebuilt(wanted), wanted), known)}


class CodeCriterion(nn.Module):
    """Squared differences of codes, and cross-entropy of the foreground. Arguments are the fields of `CodeLoss`."""

    def __init__(self, patch: tuple[int, ...], foreground: str, where: str, pixels: int | None) -> None:
        super().__init__()
        self.patch, self.foreground, self.where, self.pixels = patch, foreground, where, pixels

    def forward(self, heads: Heads, targets: Targets) -> Targets:
        head, members = heads["patches"], truth(targets, self.patch)
        pixels = members.pixels(self.where, self.pixels)
        wanted, known = members.patches(pixels, "keep")
        if isinstance(head, Coded):
            with torch.no_grad():
                code = head.encoded(wanted)
            squared, complete = (head.codes(pixels) - code) ** 2, known.all(1)
        else:
            squared, complete = torch.where(known, torch.sigmoid(rows(head, pixels)) - wanted, 0) ** 2, known.any(1)
        return {"codes": mean(squared.sum(1), complete)} | foreground(heads, members.state, self.foreground)


def truth(targets: Targets, patch: tuple[int, ...]) -> Members:
    """The true patches of a batch."""
    return Members(targets["layers"], targets["void"][:, 0], patch)


def entropy(raw: Tensor, wanted: Tensor) -> Tensor:
    """Binary cross-entropy of each entry."""
    return functional.binary_cross_entropy_with_logits(raw, wanted, reduction="none")


def foreground(heads: Heads, state: Tensor, kind: str) -> Targets:
    """Cross-entropy of the head `foreground` (one channel) or `numinst` (three), if there is one: mean over known
    pixels."""
    if kind == "none":
        return {}
    head, known = heads[kind], state > UNKNOWN
    assert isinstance(head, Tensor), "only patches are lazy"
    if kind == "foreground":
        each = entropy(head[:, 0], (state > 0).to(head.dtype))
    else:
        each = functional.cross_entropy(head, state.clamp(0, OVERLAP).long(), reduction="none")
    return {kind: mean(each, known)}


def mean(values: Tensor, known: Tensor) -> Tensor:
    """Mean of the known values."""
    return torch.where(known, values, 0).sum() / known.sum().clamp(min=1)
