"""What a phase minimises, made callable: by its own module, or the recipe's network by all losses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from toolkit.gpu.backend import Backend
from toolkit.plugins import seams
from toolkit.plugins.phases import OWN, Phase, Team
from toolkit.plugins.recipe import Recipe

if TYPE_CHECKING:
    import torch

    Tensors = dict[str, torch.Tensor]


class Criterion:
    """`(team, voxels, targets) -> {term: scalar}`; targets are named `number of the loss.name`."""

    def __init__(self, recipe: Recipe, phase: Phase, backend: Backend) -> None:
        self.own = phase.build().to(backend.device) if phase.build else None
        self.weights = recipe.training.weights or (1.0,) * len(recipe.losses)
        self._specs, self._heads, self._network = recipe.losses, recipe.heads, recipe.network
        self.losses = [] if phase.build else [loss.build().to(backend.device) for loss in recipe.losses]

    def __call__(self, team: Team, voxels: torch.Tensor, targets: Tensors) -> dict[str, Any]:
        if self.own is not None:
            return dict(seams.terms(self.own(team, voxels, _of(targets, 0)), self._specs[0]))
        heads = team(OWN, voxels)
        seams.raw(heads, self._heads, tuple(voxels.shape[2:]), self._network)
        terms: dict[str, Any] = {}
        for at, loss in enumerate(self.losses):
            found = seams.terms(loss(heads, _of(targets, at)), self._specs[at])
            mark = ("", "auxiliary.")[at] if at < 2 else f"auxiliary.{at - 1}."
            # A weight of 1 multiplies nothing: those trainings are the same to the last bit.
            weight = self.weights[at]
            terms |= {f"{mark}{name}": v if weight == 1 else weight * v for name, v in found.items()}
        return terms

    def state(self) -> Tensors:
        """What a phase's own module has to remember, under names that `restore` knows."""
        return {f"criterion.{k}": v for k, v in self.own.state_dict().items()} if self.own is not None else {}

    def restore(self, tensors: Tensors) -> None:
        if self.own is not None:
            mark = "criterion."
            self.own.load_state_dict({k.removeprefix(mark): v for k, v in tensors.items() if k.startswith(mark)})


def _of(targets: Tensors, at: int) -> Tensors:
    """The targets of one loss."""
    mark = f"{at}."
    return {name.removeprefix(mark): tensor for name, tensor in targets.items() if name.startswith(mark)}
