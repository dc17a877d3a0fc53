"""What a step of each phase costs, in CPU seconds of one thread."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from toolkit.gpu.backend import Backend
from toolkit.plugins.catalogue import Catalogue
from toolkit.plugins.recipe import Recipe
from toolkit.testing.scenes import blobs
from toolkit.training.phases import Timetable
from toolkit.training.run import Run
from toolkit.training.training import Training
from toolkit.values.truth import UNANNOTATED, Truth

STEPS = 8
"""Of each phase; the first two are warmer than the others and do not count."""


def measured(name: str, changes: Sequence[str]) -> list[float]:
    """The median of some steps of each phase, with the crops of a generated image of which few objects are known."""
    catalogue = Catalogue()
    owner, path = catalogue.locate("recipes", name)
    recipe = Recipe.load(path, catalogue, owner, changes)
    with TemporaryDirectory() as folder:
        training = Training(Run(Path(folder), recipe, threads=1), Backend(), 10**6)
        table = Timetable((STEPS,) * len(training.phases), len(training.phases))
        training.progress = replace(training.progress, table=table)
        found: list[list[float]] = [[] for _ in training.phases]
        while not training.progress.done:
            number, _ = table.at(training.progress.step)
            began = time.process_time()
            training.step([_batch(recipe)])
            found[number].append(time.process_time() - began)
    return [round(median(costs[2:]), 4) for costs in found]


def _batch(recipe: Recipe) -> dict[str, NDArray[np.float32]]:
    training = recipe.training
    scene = blobs(training.crop, count=12, radius=(5.0, 9.0))
    layers = np.where(scene.truth.layers == 1, 1, UNANNOTATED)
    targets = recipe.loss.targets(Truth.from_layers(layers))
    voxels = scene.image.read().astype(np.float32) / 100
    batch = {"voxels": voxels, **{f"0.{n}": t for n, t in targets.items()}}
    return {name: np.stack([array] * training.batch) for name, array in batch.items()}
