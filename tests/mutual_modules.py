"""What the phases of the plugin in `mutual` minimise."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from toolkit.plugins.phases import Team

Heads = Mapping[str, Tensor]


def agreement(raw: Tensor, wanted: Tensor, where: Tensor) -> Tensor:
    """Mean cross-entropy over some voxels; 0, and still a function of `raw`, over none."""
    each = cross_entropy(raw, wanted.clamp(0, 1), reduction="none")
    return (each * where).sum() / where.sum().clamp(min=1)


class Annotated(nn.Module):
    """The recipe's head alone."""

    def forward(self, heads: Heads, targets: Heads) -> Heads:
        truth = targets["foreground"]
        return {"own": agreement(heads["foreground"], truth, truth >= 0)}


class Alone(nn.Module):
    """Both networks by what is annotated; counts its calls in a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, team: Team, voxels: Tensor, targets: Heads) -> dict[str, Tensor]:
        self.calls += 1
        truth = targets["foreground"]
        own, other = team("network", voxels)["foreground"], team("other", voxels)["background"]
        known = truth >= 0
        return {
            "own": agreement(own, truth, known) / self.calls.sqrt(),
            "other": agreement(other, 1 - truth, known),
        }


class Judging(nn.Module):
    """The judge by what the networks said when they knew less, one of the kept states drawn for each step."""

    def forward(self, team: Team, voxels: Tensor, targets: Heads) -> dict[str, Tensor]:
        name, head = (("network", "foreground"), ("other", "background"))[int(torch.randint(2, ()))]
        states = team.kept(name)
        with torch.no_grad():
            said = team(name, voxels, states[int(torch.randint(len(states), ()))])[head].sigmoid()
        truth = targets["foreground"] if name == "network" else 1 - targets["foreground"]
        found = team("judge", torch.cat([voxels, said, said * (1 - said)], 1))["wrong"]
        return {"judge": agreement(found, ((said >= 0.5) != (truth >= 0.5)).float(), targets["foreground"] >= 0)}


class Together(nn.Module):
    """Each network by what is annotated, and by the other where the judge trusts it, more and more."""

    def forward(self, team: Team, voxels: Tensor, targets: Heads) -> dict[str, Tensor]:
        truth = targets["foreground"]
        known = truth >= 0
        own, other = team("network", voxels)["foreground"], team("other", voxels)["background"]
        ramp = team.step / team.steps
        said = {"own": own.detach().sigmoid(), "other": 1 - other.detach().sigmoid()}
        with torch.no_grad():
            trusted = {
                name: team("judge", torch.cat([voxels, p, p * (1 - p)], 1))["wrong"].sigmoid() < 0.5
                for name, p in said.items()
            }
        return {
            "own": agreement(own, truth, known),
            "other": agreement(other, 1 - truth, known),
            "own_taught": ramp * agreement(own, said["other"], trusted["other"] & ~known),
            "other_taught": ramp * agreement(other, 1 - said["own"], trusted["own"] & ~known),
        }
