"""Begin or resume a training in a folder."""

from __future__ import annotations

import os.path
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict
from pathlib import Path

from toolkit import io
from toolkit.errors import InputError, Interrupted, StorageError, UsageError
from toolkit.files import whole
from toolkit.files.lock import held
from toolkit.gpu.backend import select
from toolkit.gpu.memory import free
from toolkit.pipeline.workers import cores
from toolkit.plugins.catalogue import Catalogue
from toolkit.plugins.recipe import Recipe
from toolkit.registry import package
from toolkit.training import record
from toolkit.training.checkpoint import LAST, Progress, read_progress
from toolkit.training.data import Crops
from toolkit.training.deduce import Deduction, deduce, smaller, survey
from toolkit.training.footprint import footprint
from toolkit.training.log import CSV, PNG
from toolkit.training.loop import NOW, Budget, Report
from toolkit.training.loop import train as loop
from toolkit.training.step import TooLarge
from toolkit.training.transfer import starting
from toolkit.training.validate import Validation


def train(
    recipe: Recipe,
    data: str | Path,
    out: str | Path,
    *,
    minutes: float | None = None,
    device: str = "auto",
    threads: int | None = None,
    model: package.ModelPackage | None = None,
    owner: str | None = None,
    resume: bool = False,
    deductions: Sequence[Deduction] = (),
    tell: Callable[[Report], None] = lambda _: None,
    say: Callable[[str], None] = lambda _: None,
) -> Progress:
    """Train `recipe` on the splits `train` and `val` of the data set folder `data`; the run is the folder `out`.

    `minutes` limits the time, else `recipe.training.steps` counts. `model` gives the first weights, all or those
    of its network without the heads (`transfer.starting`). `owner` is the plugin whose names the recipe uses first.
    `threads` defaults to all cores. With `resume`, a run that was stopped goes on as if it had not been; its recipe
    and data must be the same. `deductions` made the recipe; they are recorded. Where memory runs out, the
    training goes on from its last checkpoint with fewer, then with smaller crops, as `say` is told.
    """
    out = Path(out)
    # What validation would refuse only after the first steps.
    recipe.postprocess.check({head.name: head for head in recipe.heads}, recipe.ndim)
    learnt, validation = _split(data, "train"), Validation(_split(data, "val"), by=recipe.training.validate_)
    start, new = (None, ()) if model is None else starting(model, recipe)
    backend = select(device)
    images = record.digest(learnt, validation.data)
    if recipe.ndim == 3 and not learnt.image(learnt.items[0]).calibrated:
        say("note   the voxel size is unknown: voxels are taken for cubes; write voxel_size_um into meta.json")
    try:
        if os.path.lexists(out) and not out.is_dir():
            raise UsageError("this is no folder", out, "choose another -o")
        out.mkdir(parents=True, exist_ok=True)
        with held(out):
            going_on = resume and (out / LAST).is_file()
            if resume:
                record.same_start(out, model, going_on)
            if going_on:
                threads = threads or read_progress(out / LAST).threads
                record.same_recipe(out, recipe, images)
            elif not resume and any(out.glob("*.safetensors")):
                raise UsageError("the output exists", out, "choose another -o, or say --resume")
            record.only_ours(out, (package.RECIPE, LAST, package.WEIGHTS, NOW, CSV, PNG), going_on)
            whole.sweep(out)
            if model is not None and not going_on:
                anew = f"the network of {model.reference}; new heads: {', '.join(head.name for head in new)}"
                say(f"start  with {anew if new else f'all weights of {model.reference}'}")
            threads = threads or cores()
            kept = record.fresh(str(data), len(learnt.items), len(validation.items), owner, threads, images)
            kept |= {"start": record.origin(model), "deduced": [asdict(d) for d in deductions], "smaller": []}
            if going_on:
                before = package.trained(out)
                # A record that is older than a field does not say it, nor does this run know it.
                kept |= {name: before.get(name) for name in ("start", "deduced")}
                kept["smaller"] = before.get("smaller", [])
            # The record first: where it is, what lies beside it under the names of a training is a training's.
            record.write(out, kept)
            if not going_on:
                whole.text(out / package.RECIPE, recipe.dump())
            budget = Budget(recipe.training.steps, minutes)
            while True:
                crops = Crops(learnt, recipe)
                told = _counting(crops, minutes, tell, say)
                try:
                    done = loop(recipe, crops, validation, out, backend, budget, threads, start, resume, told)
                except (TooLarge, MemoryError) as error:
                    less, short = smaller(recipe), error
                    if less is None:
                        raise
                else:
                    record.write(out, kept | {"steps": done.steps, "epochs": round(epochs(crops, done.step), 2)})
                    return done
                # Here the traceback is gone, and with it what it held in memory.
                recipe, resume = less, (out / LAST).is_file()
                size = f"{recipe.training.batch} crop(s) of {list(recipe.training.crop)} per step"
                say(f"{short}; goes on with {size}")
                kept["smaller"].append(size)
                whole.text(out / package.RECIPE, recipe.dump())
                record.write(out, kept)
    except KeyboardInterrupt as error:
        raise Interrupted("interrupted", out, _left(out)) from error
    except OSError as error:
        raise StorageError(
            "cannot write the run", f"{out} ({error.strerror or error})", "free space, or choose another -o"
        ) from error


def fitted(
    recipe: Recipe,
    data: str | Path,
    catalogue: Catalogue,
    *,
    device: str = "auto",
    owner: str | None = None,
    fixed: Collection[str] = (),
) -> tuple[Recipe, tuple[Deduction, ...]]:
    """The recipe for the objects of a data set and the memory at hand, and what was deduced; `fixed` fields stay."""
    seen = survey(recipe, _split(data, "train"), _split(data, "val"))
    if not seen.objects:
        raise InputError("there are no objects to deduce sizes from", data, "train without --deduce, or see seg check")
    backend = select(device)
    return deduce(recipe, seen, footprint(recipe), free(backend), catalogue, owner, fixed, backend.on_gpu)


def epochs(crops: Crops, steps: int) -> float:
    """How often so many steps show as many crops as there are images."""
    return steps * crops.recipe.training.batch / len(crops.data.items)


def _split(data: str | Path, split: str) -> io.Dataset:
    found = io.open_dataset(f"{data}:{split}")
    if not found.items:
        raise InputError(f"the split {split!r} has no images", data, "see seg check")
    if found.items[0].mask is None:
        raise InputError("there are no masks to learn from", data, "put them into masks/")
    return found


def _counting(
    crops: Crops, minutes: float | None, tell: Callable[[Report], None], say: Callable[[str], None]
) -> Callable[[Report], None]:
    """`tell` that also says how many steps and epochs fit into the minutes, once that is known."""
    known = set() if minutes is None else {crops.recipe.training.steps}

    def told(report: Report) -> None:
        steps = report.progress.steps
        if minutes is not None and steps not in known:
            known.add(steps)
            say(f"time   {minutes:g} min are about {steps} steps, {epochs(crops, steps):.1f} epochs")
        tell(report)

    return told


def _left(out: Path) -> str:
    """What may be done after an interruption."""
    path = out / LAST
    return f"--resume goes on from step {read_progress(path).step}" if path.is_file() else ""
