"""One training loop for every method. Step n depends on the seed, n and the weights before it, and on nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.errors import InputError, OutOfMemory
from toolkit.gpu.backend import Backend
from toolkit.recipe import Recipe
from toolkit.registry import package
from toolkit.training import checkpoint
from toolkit.training.checkpoint import LAST, Progress
from toolkit.training.data import Batch, Crops
from toolkit.training.log import Log, draw
from toolkit.training.validate import Validation

if TYPE_CHECKING:
    import torch

TIMED = 20
"""Steps after which minutes are turned into a number of steps."""


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

    `start` gives the first weights. Validation runs every `every` steps (default: a fortieth of the run, at least 50).
    The best weights are those with the highest validation score. `resume` goes on from `last.safetensors`; the result
    is that of an uninterrupted run with the same number of threads.
    """
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(recipe.training.seed)
    module = start.build() if start else recipe.network.build(package.channels(recipe), recipe.heads, recipe.ndim)
    module = module.to(backend.device).train()
    criteria = [loss.build().to(backend.device) for loss in recipe.losses]
    optimiser = _optimiser(recipe, module)
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
        average = checkpoint.restore(folder / LAST, module, optimiser)
        average = {k: v.to(backend.device) for k, v in average.items()}
    log: Log | None = None
    clock, fixed = time.monotonic() - progress.seconds, progress.step > 0 or budget.minutes is None
    for step, batch in _ahead(crops, progress.step):
        if step >= progress.steps:
            break
        began = time.monotonic()
        rate = _rate(recipe, step, progress.steps)
        terms = _step(module, criteria, optimiser, batch, rate, recipe.training.seed + step, backend)
        _follow(average, module, recipe.training.average, step)
        log = log or Log(folder, tuple(terms), progress.step)
        progress = replace(progress, step=step + 1, seconds=time.monotonic() - clock)
        if not fixed and step + 1 == min(TIMED, progress.steps):
            pace = (time.monotonic() - began + progress.seconds / TIMED) / 2
            left = max(0.0, 60 * (budget.minutes or 0) - progress.seconds)
            progress = replace(progress, steps=step + 1 + int(left * 0.93 / pace))
        loss, score = sum(terms.values()), None
        interval = every or max(50, progress.steps // 40)
        if progress.step % interval == 0 or progress.step == progress.steps:
            score = _validated(module, average, validation, recipe, folder, backend)
            if score > progress.best:
                (folder / "now.safetensors").replace(folder / package.WEIGHTS)
                progress = replace(progress, best=score, best_step=progress.step)
            (folder / "now.safetensors").unlink(missing_ok=True)
        row: dict[str, float | int] = {"step": progress.step, "seconds": progress.seconds, "learning_rate": rate}
        log.add(row | {"loss": loss} | terms | ({} if score is None else {"score": score}))
        if score is not None:
            checkpoint.save(folder / LAST, module, optimiser, average, progress)
            draw(folder, validation.metric)
        tell(Report(progress, loss, score))
    return progress


def _ahead(crops: Crops, first: int) -> Iterator[tuple[int, Batch]]:
    """Batches of the steps from `first` on; the next one is made while the network works on this one."""
    with ThreadPoolExecutor(1, thread_name_prefix="crops") as pool:
        waiting = pool.submit(crops.batch, first)
        for step in count(first):
            batch = waiting.result()
            waiting = pool.submit(crops.batch, step + 1)
            yield step, batch


def _step(
    module: torch.nn.Module,
    criteria: list[torch.nn.Module],
    optimiser: torch.optim.Optimizer,
    batch: Batch,
    rate: float,
    seed: int,
    backend: Backend,
) -> dict[str, float]:
    """One step of the optimiser; returns the loss terms."""
    import torch

    torch.manual_seed(seed)  # dropout, the only chance left in a step
    tensors = {name: torch.from_numpy(array).to(backend.device) for name, array in batch.items()}
    for group in optimiser.param_groups:
        group["lr"] = rate
    optimiser.zero_grad(set_to_none=True)
    try:
        with torch.autocast(backend.device.partition(":")[0], torch.bfloat16):
            heads = module(tensors["voxels"])
        terms: dict[str, Any] = {}
        for at, criterion in enumerate(criteria):
            mark = f"{at}."
            own = {name.removeprefix(mark): t for name, t in tensors.items() if name.startswith(mark)}
            found = criterion({name: head.float() for name, head in heads.items()}, own)
            terms |= {name if at == 0 else f"auxiliary.{name}": value for name, value in found.items()}
        total = torch.stack([t.float() for t in terms.values()]).sum()
        total.backward()  # type: ignore[no-untyped-call]
    except torch.cuda.OutOfMemoryError as error:
        raise OutOfMemory(
            "memory does not suffice for a training step",
            f"batch of {len(batch['voxels'])} crops of {list(batch['voxels'].shape[2:])}",
            "choose --set training.batch=1 or a smaller training.crop",
        ) from error
    optimiser.step()
    return {name: float(value.detach()) for name, value in terms.items()}


def _optimiser(recipe: Recipe, module: torch.nn.Module) -> torch.optim.Optimizer:
    import torch

    training, weights = recipe.training, module.parameters()
    match training.optimiser:
        case "adam":
            return torch.optim.Adam(weights, lr=training.learning_rate, weight_decay=training.weight_decay)
        case "adamw":
            return torch.optim.AdamW(weights, lr=training.learning_rate, weight_decay=training.weight_decay)
        case "sgd":
            return torch.optim.SGD(weights, lr=training.learning_rate, momentum=0.9, weight_decay=training.weight_decay)


def _rate(recipe: Recipe, step: int, steps: int) -> float:
    """Learning rate of a step."""
    from math import cos, pi

    training = recipe.training
    done = min(1.0, step / max(1, steps))
    shape: float = {"poly": (1 - done) ** 0.9, "cosine": (1 + cos(pi * done)) / 2, "constant": 1.0}[training.schedule]
    return training.learning_rate * shape * min(1.0, (step + 1) / max(1, training.warmup))


def _follow(average: dict[str, torch.Tensor], module: torch.nn.Module, decay: float, step: int) -> None:
    """Move the average towards the weights; in the first steps it forgets faster."""
    import torch

    decay = min(decay, (1 + step) / (10 + step))
    with torch.no_grad():
        for name, value in module.state_dict().items():
            if value.is_floating_point():
                average[name].lerp_(value, 1 - decay)
            else:
                average[name].copy_(value)


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
    path = folder / "now.safetensors"
    package.save(module, path)
    module.load_state_dict(now)
    score = validation.score(package.from_files(folder / package.RECIPE, path, recipe), backend)
    module.train()
    return score
