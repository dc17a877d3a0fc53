"""One step of a training, to measure it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from toolkit.gpu.backend import Backend
from toolkit.plugins.recipe import Recipe
from toolkit.testing.scenes import Scene


def one_step(recipe: Recipe, scene: Scene) -> Callable[[], None]:
    """A function that teaches the recipe's network this scene once, as the first phase of a training does."""
    from toolkit.training.criterion import Criterion
    from toolkit.training.step import descend, optimiser
    from toolkit.training.team import Team

    phase = recipe.main.phases()[0]
    team, criterion = Team(recipe, Backend()), Criterion(recipe, phase, Backend())
    targets = {f"0.{name}": value[None] for name, value in recipe.main.targets(scene.truth).items()}
    batch = {"voxels": scene.image.read()[None].astype(np.float32) / 255, **targets}
    updates = optimiser(recipe.training, team.enter(phase, lambda _: ()))

    def step() -> None:
        descend(criterion, team, updates, [batch], 0, Backend())

    return step
