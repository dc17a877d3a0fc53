"""What every training keeps to: each phase takes a step, and goes on from a checkpoint as if it had not stopped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from toolkit.plugins.recipe import Recipe
from toolkit.testing.scenes import Scene
from toolkit.values.truth import UNANNOTATED, Truth

if TYPE_CHECKING:
    import torch

Batch = dict[str, NDArray[Any]]
STEPS = 2
"""Of each phase; the training is stopped and resumed between them."""


def phases_go_on_exactly(recipe: Recipe, scene: Scene) -> None:
    """Train every phase on the scene, then on the scene without its annotation, of which the loss is a number, too;
    assert that a training that was stopped inside each phase ends with the weights of one that was not."""
    from toolkit.gpu.backend import Backend
    from toolkit.training.phases import Timetable
    from toolkit.training.run import Run
    from toolkit.training.training import Training

    batches = [_batch(recipe, scene, truth) for truth in (scene.truth, _bare(scene.truth))]

    def train(folder: str, *, again: bool) -> dict[str, torch.Tensor]:
        def begun(resume: bool) -> Training:
            made = Training(Run(Path(folder), recipe, threads=1, resume=resume), Backend(), 10**6)
            table = Timetable((STEPS,) * len(made.phases), len(made.phases))
            made.progress = replace(made.progress, table=table)
            return made

        training = begun(False)
        while not training.progress.done:
            number = training.progress.step
            training.step([batches[number % STEPS]])
            if again and number % STEPS == 0:
                training.store()
                training = begun(True)
        return training.team.state()

    whole, parts = (_in_a_folder(partial(train, again=again)) for again in (False, True))
    for name, tensor in whole.items():
        same = bool((tensor == parts[name]).all())
        assert same, f"{name} differs after a resume: something is remembered that is in no weight and no buffer"


def _in_a_folder(work: Callable[[str], Any]) -> Any:
    import torch

    threads = torch.get_num_threads()
    try:
        with TemporaryDirectory() as folder, torch.random.fork_rng():
            return work(folder)
    finally:
        torch.set_num_threads(threads)


def _bare(truth: Truth) -> Truth:
    """Nothing is annotated."""
    return Truth.from_layers(np.full_like(truth.layers[:1], UNANNOTATED), voxel_size=truth.voxel_size)


def _batch(recipe: Recipe, scene: Scene, truth: Truth) -> Batch:
    from toolkit.pipeline.prepared import prepare
    from toolkit.steps import normalise

    image = prepare(scene.image, recipe)
    voxels = normalise.fit(image, recipe.normalise)(image.read())
    targets = {f"{at}.{k}": v for at, loss in enumerate(recipe.losses) for k, v in loss.targets(truth).items()}
    return {"voxels": voxels[None], **{name: np.ascontiguousarray(value)[None] for name, value in targets.items()}}
