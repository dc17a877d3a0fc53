# ruff: noqa: TID253
# Torch at module level: only building a network imports this file.
"""The network of an exported package, as other tools of the format import it by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from toolkit.plugins.catalogue import Catalogue
from toolkit.plugins.recipe import Recipe
from toolkit.registry import package
from toolkit.values.prediction import Head


class Listed(nn.Module):
    """A network whose heads come as a list, in order, as the format wants them; `tanh` is applied here.

    The other activations are the description's postprocessing, which has no word for `tanh`.
    """

    def __init__(self, network: nn.Module, heads: Sequence[Head]) -> None:
        super().__init__()
        self.network, self.heads = network, tuple(heads)

    def forward(self, x: torch.Tensor | Sequence[torch.Tensor]) -> list[torch.Tensor]:
        raw = self.network(x if isinstance(x, torch.Tensor) else x[0])
        return [torch.tanh(raw[h.name]) if h.activation == "tanh" else raw[h.name] for h in self.heads]

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """The weights of the network itself, without a prefix."""
        return self.network.load_state_dict(state_dict, strict, assign)


def network(recipe: Mapping[str, Any], owner: str | None = None) -> Listed:
    """The network of a recipe, in evaluation mode, with fresh weights."""
    parsed = Recipe.parse(recipe, Catalogue(), owner)
    return Listed(package.network(parsed), parsed.heads).eval()
