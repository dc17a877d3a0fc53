"""One training loop for every method. Step n depends on the seed, n and the weights before it, and on nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from toolkit.errors import InputError
from toolkit.gpu.backend import Backend
from toolkit.plugins.recipe import Recipe
from toolkit.registry import package
from toolkit.training import checkpoint
from toolkit.training.checkpoint import LAST, Progress
from toolkit.training.data import Batch, Crops
from toolkit.training.log import Log, draw
from toolkit.training.step import follow, layout, mixed, optimiser, rate, settle, step
from toolkit.training.validate import Validation

if TYPE_CHECKING:
    import torch

NOW = "now.safetensors"
TIMED = 20
"""Steps after which minutes are turned into a number of steps."""
PARTS, LEAST = 20, 50
"""A checkpoint is kept after each of `PARTS` parts of the training; it and validations are `LEAST` steps apart."""


@dataclass(frozen=True)
class Budget:
    """How long to train: a number of steps, or minutes from which it follows after `TIMED` steps."""

    steps: int
    minutes: float | None = None


@dataclass(frozen=True)
class Report:
    """What the caller may show after each step."""

    progress: Progress
    loss: float
    score: float | None
    metric: str
    """What the score is a value of."""


def train(
    recipe: Recipe,
    crops: Crops,
    validation: Validation,
    folder: Path,
    backend: Backend,
    budget: Budget,
    threads: int,
    start: package.ModelPackage | None = None,
    resume: bool = False,
    tell: Callable[[Report], None] = lambda _: None,
    every: int | None = None,
) -> Progress:
    """Train and keep `last.safetensors`, `best.safetensors`, `log.csv` and `curve.png` in `folder`.

    `start` gives the first weights. Validation runs every `every` steps (default: as often as `training.validations`
    says, at least 50 steps apart), and once after `TIMED` steps where minutes are given, to know what it costs. A
    checkpoint is kept then and after each twentieth of the run.
    The best weights are those with the highest validation score. `resume` goes on from `last.safetensors`; the result
    is that of an uninterrupted run with the same number of threads.
    """
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(recipe.training.seed)
    module = start.build() if start else package.network(recipe)
    module = module.to(backend.device, memory_format=layout(recipe.ndim)).train()  # type: ignore[call-overload]
    criteria = [loss.build().to(backend.device) for loss in recipe.losses]
    updates = optimiser(recipe.training, module)
    half = mixed(recipe, backend)
    average = {k: v.clone() for k, v in module.state_dict().items()}
    progress = Progress(0, budget.steps, threads, -1.0, 0, 0.0)
    if resume and (folder / LAST).is_file():
        progress = checkpoint.read_progress(folder / LAST)
        if progress.threads != threads:
            raise InputError(
                "this training used another number of threads",
                f"{progress.threads}, now {threads}",
                f"resume with --threads {progress.threads}: otherwise it would not be the same training",
            )
        average = checkpoint.restore(folder / LAST, module, updates)
        average = {k: v.to(backend.device) for k, v in average.items()}
    log: Log | None = None
    clock, endless = time.monotonic() - progress.seconds, progress.step == 0 and budget.minutes is not None
    ticks = [time.monotonic()]
    for number, batch in _ahead(crops, progress.step):
        if number >= progress.steps:
            break
        pace = rate(recipe.training, number, progress.steps)
        settle(module, recipe.training.settle, number, progress.steps)
        terms = step(number, module, criteria, updates, batch, pace, recipe.training.seed + number, backend, half)
        follow(average, module, recipe.training.average, number)
        log = log or Log(folder, tuple(terms), progress.step)
        progress = replace(progress, step=number + 1, seconds=time.monotonic() - clock)
        ticks = [*ticks[-TIMED:], time.monotonic()]
        timed = endless and progress.step == min(TIMED, progress.steps)
        interval = every or max(LEAST, progress.steps // recipe.training.validations)
        loss, score = sum(terms.values()), None
        if timed or progress.step % interval == 0 or progress.step == progress.steps:
            score = _validated(module, average, validation, recipe, folder, backend)
            if score > progress.best or any(loss.prepares for loss in recipe.losses):
                (folder / NOW).replace(folder / package.WEIGHTS)
                progress = replace(progress, best=score, best_step=progress.step)
            (folder / NOW).unlink(missing_ok=True)
        if timed:
            left = 60 * (budget.minutes or 0) - (time.monotonic() - clock)
            pause = time.monotonic() - ticks[-1]
            steps = affordable(left, median(np.diff(ticks).tolist()), pause, recipe.training.validations)
            progress, endless = replace(progress, steps=progress.step + steps), False
        row: dict[str, float | int] = {"step": progress.step, "seconds": progress.seconds, "learning_rate": pace}
        log.add(row | {"loss": loss} | terms | ({} if score is None else {"score": score}))
        if score is not None or progress.step % max(LEAST, progress.steps // PARTS) == 0:
            checkpoint.save(folder / LAST, module, updates, average, progress)
        if score is not None:
            draw(folder, validation.metric)
        tell(Report(progress, loss, score, validation.metric))
    return progress


def affordable(seconds: float, pace: float, validation: float, times: int) -> int:
    """Steps of `pace` seconds that fit into `seconds` together with up to `times` validations."""
    if seconds <= 0:
        return 0
    many = (seconds - times * validation) / pace
    return int(max(many, min(times * LEAST, seconds / (pace + validation / LEAST))))


def _ahead(crops: Crops, first: int) -> Iterator[tuple[int, Batch]]:
    """Batches of the steps from `first` on; the next one is made while the network works on this one."""
    with ThreadPoolExecutor(1, thread_name_prefix="crops") as pool:
        waiting = pool.submit(crops.batch, first)
        for step in count(first):
            batch = waiting.result()
            waiting = pool.submit(crops.batch, step + 1)
            yield step, batch


def _validated(
    module: torch.nn.Module,
    average: dict[str, torch.Tensor],
    validation: Validation,
    recipe: Recipe,
    folder: Path,
    backend: Backend,
) -> float:
    """Score of the averaged weights, which are left in `now.safetensors`."""
    now = {name: value.clone() for name, value in module.state_dict().items()}
    module.load_state_dict(average)
    path = folder / NOW
    package.save(module, path)
    module.load_state_dict(now)
    score = validation.score(package.from_files(folder / package.RECIPE, path, recipe), backend)
    module.train()
    return score
