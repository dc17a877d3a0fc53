"""The heads that a loss asks for, found by descent on the loss itself: ideal predictions for any method."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from toolkit.plugins import seams
from toolkit.plugins.specs import Loss
from toolkit.testing.blockwise import Heads
from toolkit.values.prediction import Head
from toolkit.values.truth import Truth

if TYPE_CHECKING:
    import torch


def descend(losses: Sequence[Loss], truth: Truth, steps: int = 300, rate: float = 0.06) -> tuple[Heads, list[float]]:
    """Heads `(C, *shape)` with activations applied, after `steps` of Adam on free raw outputs, and the losses seen.

    The step size falls linearly. No network takes part, so what a post-processor makes of the heads tells whether it
    fits its losses.
    """
    import torch

    from toolkit.pipeline.raw import activate

    raw = start(losses, truth)
    terms = [(loss, loss.build(), targets(loss, truth)) for loss in losses]
    optimiser = torch.optim.Adam(raw.values(), lr=rate)
    seen = []
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = rate * (1 - step / steps)
        optimiser.zero_grad()
        said = [seams.terms(module(raw, targets), loss) for loss, module, targets in terms]
        total = sum((term for each in said for term in each.values()), torch.zeros(()))
        torch.autograd.backward(total)
        optimiser.step()
        seen.append(float(total.detach()))
    heads = {head.name: head for loss in losses for head in seams.heads(loss.heads(truth.ndim), loss)}
    return {name: activate(value.detach(), heads[name])[0].numpy() for name, value in raw.items()}, seen


def start(losses: Sequence[Loss], truth: Truth) -> dict[str, torch.Tensor]:
    """Raw outputs `(1, C, *shape)` to begin with: each head's `initial`, else 0."""
    import torch

    def fresh(head: Head) -> torch.Tensor:
        return torch.full((1, head.channels, *truth.shape), head.initial or 0.0, requires_grad=True)

    return {head.name: fresh(head) for loss in losses for head in seams.heads(loss.heads(truth.ndim), loss)}


def targets(loss: Loss, truth: Truth) -> dict[str, torch.Tensor]:
    """The targets of one crop as a batch of one; raises `PluginError` where they are none."""
    with seams.calling(loss, "targets"):
        found = seams.targets(loss.targets(truth), loss, truth.shape)
    return tensors(found)


def tensors(targets: dict[str, Any]) -> dict[str, torch.Tensor]:
    """Targets of one crop as a batch of one."""
    import torch

    return {name: torch.from_numpy(np.array(value, order="C"))[None] for name, value in targets.items()}
