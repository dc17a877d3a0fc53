"""A team of modules that give what they are told."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from toolkit.api import PluginError


class Given(nn.Module):
    """A head that is a free parameter, or depends on what it sees by `rule`."""

    def __init__(self, **heads: Tensor) -> None:
        super().__init__()
        self.heads = nn.ParameterDict({name: nn.Parameter(value) for name, value in heads.items()})

    def forward(self, voxels: Tensor) -> dict[str, Tensor]:
        return dict(self.heads.items())


class Team:
    """What phases see of the networks of a training."""

    def __init__(self, modules: Mapping[str, nn.Module], step: int = 0, steps: int = 1, kept: int = 0) -> None:
        self.modules, self.step, self.steps, self.states = modules, step, steps, kept
        self.seen: list[tuple[str, tuple[int, ...]]] = []

    def __call__(self, name: str, voxels: Tensor, weights: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        self.seen.append((name, tuple(voxels.shape)))
        module = self.modules[name]
        return module(voxels) if weights is None else torch.func.functional_call(module, dict(weights), (voxels,))

    def module(self, name: str) -> nn.Module:
        return self.modules[name]

    def kept(self, name: str) -> tuple[Mapping[str, Tensor], ...]:
        if not self.states:
            raise PluginError("no weights of this network were kept", name, "let an earlier phase keep some")
        return (self.modules[name].state_dict(),) * self.states

    def averaged(self, name: str) -> Mapping[str, Tensor]:
        return {key: value.detach().clone() for key, value in self.modules[name].state_dict().items()}
