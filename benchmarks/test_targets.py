"""Targets made on the fly against the training step that they are made for, in one run, both on one thread.

pytest benchmarks/test_targets.py -s
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest
import torch

from toolkit.gpu.backend import Backend
from toolkit.pipeline.raw import one_thread
from toolkit.plugins.catalogue import Catalogue
from toolkit.plugins.phases import OWN
from toolkit.plugins.recipe import Recipe
from toolkit.registry import package
from toolkit.testing.scenes import blobs
from toolkit.training.criterion import Criterion
from toolkit.training.step import descend, optimiser
from toolkit.training.team import Team
from toolkit.values.truth import Truth

NAMES = ("three-label-cpv", "sdt-cpv", "affinities-cpv", "gauss")


@pytest.mark.parametrize("name", [*NAMES, *(f"{name}-3d" for name in NAMES)])
def test_targets_take_less_than_a_tenth_of_a_step(benchmark, name: str) -> None:
    catalogue = Catalogue()
    plugin, path = catalogue.locate("recipes", f"cpv:{name}")
    recipe = Recipe.load(path, catalogue, plugin)
    training = recipe.training
    count = 30 if recipe.ndim == 2 else 60
    truths = [crowded(training.crop, count, seed) for seed in range(training.batch)]

    def targets() -> dict[str, np.ndarray]:
        each = [
            {f"{at}.{key}": value for at, loss in enumerate(recipe.losses) for key, value in loss.targets(t).items()}
            for t in truths
        ]
        return {key: np.stack([one[key] for one in each]) for key in each[0]}

    (phase,) = recipe.loss.phases()
    team, criterion = Team(recipe, Backend()), Criterion(recipe, phase, Backend())
    updates = optimiser(training, team.enter(phase, lambda _: ()))
    voxels = np.random.default_rng(0).random((training.batch, package.channels(recipe), *training.crop), np.float32)
    batch = {"voxels": voxels, **targets()}
    with one_thread():
        whole = least(lambda: descend(criterion, team, updates, [batch], 0, Backend()), 2)
        benchmark.pedantic(targets, rounds=1)
        ours = least(targets, 3)
    print(f"\n{name}: targets {1000 * ours:.0f} ms, step {1000 * whole:.0f} ms, {100 * ours / whole:.1f} %")
    assert ours < 0.1 * whole
    assert torch.isfinite(next(team.module(OWN).parameters())).all()


def crowded(shape: tuple[int, ...], count: int, seed: int) -> Truth:
    return blobs(shape, count=count, radius=(5.0, 9.0), seed=seed).truth


def least(work: Callable[[], object], rounds: int) -> float:
    """Seconds of the CPU, which other work on the machine does not stretch; everything here is one thread."""
    times = []
    for _ in range(rounds):
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    return min(times)
