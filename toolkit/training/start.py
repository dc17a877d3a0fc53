"""Begin or resume a training in a folder."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, replace
from math import prod
from pathlib import Path

from toolkit import io
from toolkit.errors import InputError, Interrupted, UsageError
from toolkit.gpu.absent import served
from toolkit.gpu.backend import Backend, select
from toolkit.gpu.memory import amount, available, free
from toolkit.plugins.catalogue import Catalogue
from toolkit.plugins.recipe import Recipe
from toolkit.registry import package
from toolkit.registry.needs import needed
from toolkit.training import provenance
from toolkit.training.channels import resolved
from toolkit.training.checkpoint import LAST, Progress, read_progress
from toolkit.training.closing import Score, close
from toolkit.training.data import Crops
from toolkit.training.deduce import Deduction, deduce, survey
from toolkit.training.feed import Feed
from toolkit.training.footprint import footprint
from toolkit.training.loop import Report, loop
from toolkit.training.minutes import BATCH, Few
from toolkit.training.phases import Timetable, checked
from toolkit.training.run import Run, opened
from toolkit.training.sizes import learnt as measured
from toolkit.training.step import TooLarge
from toolkit.training.training import Training
from toolkit.training.transfer import starting
from toolkit.training.validate import Validation


@dataclass(frozen=True)
class Trained:
    """How a training ended. `score` is what a run of the model reaches on `val`; None of one that only prepares."""

    progress: Progress
    score: Score | None
    data: str = ""


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
    held: Collection[str] = (),
    catalogue: Catalogue | None = None,
    tell: Callable[[Report], None] = lambda _: None,
    say: Callable[[str], None] = lambda _: None,
    clock: Callable[[], float] = time.monotonic,
) -> Trained:
    """Train `recipe` on the splits `train` and `val` of the data set folder `data`; the run is the folder `out`.

    `minutes` of `clock` limit the time, else `recipe.training.steps` counts. `model` gives the first weights, all or
    those of its network without the heads (`transfer.starting`); a training that begins with all of them ends no worse
    than the model on `val`, or keeps it. `owner` is the plugin whose names the recipe uses
    first. Sizes of objects that `recipe` names stay. `threads` defaults to all cores. With `resume`, a run that was
    stopped goes on as if it had not been; its recipe and data must be the same. `deductions` made the recipe; they are
    recorded. Where memory runs out, the training goes on from its last checkpoint with fewer crops at once, then with
    smaller ones, as `say` is told; where the minutes are worth too few steps, with fewer crops, unless `held` has
    `training.batch`.
    At the end the post-processor is tuned on `val` (`closing.close`), but for its fields in `held`.
    """
    out, catalogue = Path(out), catalogue or Catalogue()
    # What validation would refuse only after the first steps.
    recipe.expects(recipe.heads)
    Timetable.of(checked(recipe), recipe.training.steps)
    learnt, validation = _split(data, "train"), Validation(_split(data, "val"), by=recipe.training.validate_)
    recipe, channels = resolved(recipe, learnt)
    start, new = (None, ()) if model is None else starting(model, recipe)
    recipe = measured(recipe, learnt, None if model is None or new else model.recipe.input.diameter_px)
    start = None if start is None else replace(start, recipe=recipe)
    # Another post-processor makes another method, with which the weights were never meant to be used; those that only
    # prepare a training are no method yet.
    tuning = (
        model is not None
        and not new
        and type(recipe.postprocess) is type(model.recipe.postprocess)
        and not any(loss.prepares for loss in model.recipe.losses)
    )
    backend = select(device)
    served(recipe.specs, backend)
    _fits(recipe)
    if recipe.ndim == 3 and not learnt.image(learnt.items[0]).calibrated:
        say("note   the voxel size is unknown: voxels are taken for cubes; write voxel_size_um into meta.json")
    if validation.blind:
        say(f"note   no image of {data}:val has an object: nothing is scored or tuned, the last weights are kept")
    about = provenance.fresh(str(data), learnt, validation.data, owner)
    about |= {"recipe": recipe.plain(), "start": provenance.origin(model), "deduced": [asdict(d) for d in deductions]}
    about |= {"held": sorted(held), "distributions": {p.name: p.distribution for p in needed(recipe, catalogue)}}
    try:
        with opened(out, recipe, about, catalogue, model=model, start=start, tuning=tuning, threads=threads,
                    resume=resume) as run:  # fmt: skip
            if channels and not run.going_on:
                say(f"image  {channels}")
            if model is not None and not run.going_on:
                anew = f"the network of {model.reference}; new heads: {', '.join(head.name for head in new)}"
                say(f"start  with {anew if new else f'all weights of {model.reference}'}")
            while True:
                short = _trained(run, learnt, validation, backend, minutes, tell, say, clock)
                if isinstance(short, Progress):
                    score = close(run, short, f"{data}:val", catalogue, backend, clock)
                    return Trained(short, score, str(data))
                if isinstance(short, Few):
                    less: Run | None = run.changed([f"{BATCH}={short.batch}"], catalogue)
                else:
                    less = run.smaller(catalogue)
                if less is None:
                    raise short
                run, size = less, less.recipe.training
                say(f"{short}; goes on with {size.batch} crop(s) of {list(size.crop)} at once")
    except KeyboardInterrupt as error:
        raise Interrupted("interrupted", out, _left(out)) from error


def _trained(
    run: Run,
    learnt: io.Dataset,
    validation: Validation,
    backend: Backend,
    minutes: float | None,
    tell: Callable[[Report], None],
    say: Callable[[str], None],
    clock: Callable[[], float],
) -> Progress | TooLarge | MemoryError | Few:
    """Train to the end, or until a step does not fit into memory, or too few of them into the minutes."""
    crops = Crops(learnt, run.recipe)
    try:
        with Feed(crops, run.about.get("owner"), say=say) as feed:
            training = Training(run, backend, run.recipe.training.steps, minutes, clock)
            if run.tuning is not None and not run.going_on:
                training.validate(validation)
            done = loop(training, validation, feed, _counting(crops, minutes, tell, say))
    except (TooLarge, MemoryError, Few) as error:
        error.__cause__ = error.__context__ = None  # they hold what was in memory
        return error.with_traceback(None)
    run.note(steps=done.steps, epochs=round(epochs(crops, done.step), 2))
    return done


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
    return deduce(recipe, seen, footprint(recipe, backend), free(backend), catalogue, owner, fixed, backend.on_gpu)


def epochs(crops: Crops, steps: int) -> float:
    """How often so many steps show as many crops as there are images."""
    training = crops.recipe.training
    return steps * training.batch * training.accumulate / len(crops.data.items)


def _split(data: str | Path, split: str) -> io.Dataset:
    found = io.open_dataset(f"{data}:{split}")
    if not found.items:
        raise InputError(f"the split {split!r} has no images", data, "see seg check")
    if found.items[0].mask is None:
        raise InputError("there are no masks to learn from", data, "put them into masks/")
    return found


def _fits(recipe: Recipe) -> None:
    """Refuse what would be cut for hours before it is clear that no memory holds it; a step that is only somewhat too
    large is made smaller when it fails."""
    size = recipe.training
    least = 4 * prod(size.crop) * size.batch * (package.channels(recipe) + 1)
    if least > available():
        raise UsageError(
            f"{size.batch} crops at once do not fit into memory",
            f"training.batch={size.batch}, training.crop={list(size.crop)}",
            f"they take {amount(least / 2**30)} at least, {amount(available() / 2**30)} are free: choose fewer",
        )


def _counting(
    crops: Crops, minutes: float | None, tell: Callable[[Report], None], say: Callable[[str], None]
) -> Callable[[Report], None]:
    """`tell` that also says how many steps and epochs fit into the minutes, once that is known."""
    known = False

    def told(report: Report) -> None:
        nonlocal known
        table = report.progress.table
        if minutes is not None and not known and table.known == len(table.steps):
            known = True
            say(f"time   {minutes:g} min are about {table.total} steps, {epochs(crops, table.total):.1f} epochs")
        tell(report)

    return told


def _left(out: Path) -> str:
    """What may be done after an interruption."""
    path = out / LAST
    return f"--resume goes on from step {read_progress(path).step}" if path.is_file() else ""
