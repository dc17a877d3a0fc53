"""Begin or resume a training in a folder."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from toolkit import io
from toolkit.errors import InputError, Interrupted, StorageError, UsageError
from toolkit.gpu.backend import select
from toolkit.gpu.memory import free
from toolkit.lock import held
from toolkit.plugins.catalogue import Catalogue
from toolkit.prediction import Head
from toolkit.recipe import Recipe
from toolkit.registry import package
from toolkit.training.checkpoint import LAST, Progress, read_progress
from toolkit.training.data import Crops
from toolkit.training.deduce import Deduction, deduce, smaller, survey
from toolkit.training.footprint import footprint
from toolkit.training.loop import Budget, Report
from toolkit.training.loop import train as loop
from toolkit.training.step import TooLarge
from toolkit.training.transfer import first
from toolkit.training.validate import Validation
from toolkit.workers import cores

RECORD = "training.json"


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
    of its network without the heads (`transfer.first`). `owner` is the plugin whose names the recipe uses first.
    `threads` defaults to all cores. With `resume`, a run that was stopped goes on as if it had not been; its recipe
    and data must be the same. `deductions` made the recipe; they are recorded. Where memory runs out, the
    training goes on from its last checkpoint with fewer, then with smaller crops, as `say` is told.
    """
    out = Path(out)
    # What validation would refuse only after the first steps.
    recipe.postprocess.check({head.name: head for head in recipe.heads}, recipe.ndim)
    learnt, validation = _split(data, "train"), Validation(_split(data, "val"), by=recipe.training.validate_)
    new: tuple[Head, ...] = ()
    if model is not None:
        model, new = first(model, recipe)
    backend = select(device)
    images = _digest(learnt, validation.data)
    if recipe.ndim == 3 and not learnt.image(learnt.items[0]).calibrated:
        say("note   the voxel size is unknown: voxels are taken for cubes; write voxel_size_um into meta.json")
    try:
        if out.exists() and not out.is_dir():
            raise UsageError("this is no folder", out, "choose another -o")
        out.mkdir(parents=True, exist_ok=True)
        with held(out):
            going_on = resume and (out / LAST).is_file()
            if model is not None and new and not going_on:
                say(f"start  with the network of {model.name}; new heads: {', '.join(head.name for head in new)}")
            if going_on:
                threads = threads or read_progress(out / LAST).threads
                _same(out, recipe, images)
            elif not resume and any(out.glob("*.safetensors")):
                raise UsageError("the output exists", out, "choose another -o, or say --resume")
            else:
                (out / package.RECIPE).write_text(recipe.dump(), encoding="utf8")
            threads = threads or cores()
            record = _record(str(data), learnt, validation, owner, threads, images)
            record["deduced"] = _read(out).get("deduced") if going_on else [asdict(d) for d in deductions]
            record["smaller"] = _read(out).get("smaller", []) if going_on else []
            record["start"] = {"name": model.name, "sha256": model.sha256} if model else None
            budget = Budget(recipe.training.steps, minutes)
            while True:
                _write(out, record)
                crops = Crops(learnt, recipe)
                told = _counting(crops, minutes, tell, say)
                try:
                    done = loop(recipe, crops, validation, out, backend, budget, threads, model, resume, told)
                except (TooLarge, MemoryError) as error:
                    less, short = smaller(recipe), error
                    if less is None:
                        raise
                else:
                    _write(out, record | {"steps": done.steps, "epochs": round(epochs(crops, done.step), 2)})
                    return done
                # Here the traceback is gone, and with it what it held in memory.
                recipe, resume = less, (out / LAST).is_file()
                size = f"{recipe.training.batch} crop(s) of {list(recipe.training.crop)} per step"
                say(f"{short}; goes on with {size}")
                record["smaller"].append(size)
                (out / package.RECIPE).write_text(recipe.dump(), encoding="utf8")
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


def recipe_of(run: Path, catalogue: Catalogue, changes: Sequence[str] = ()) -> tuple[Recipe, str | None]:
    """The recipe of a run that is resumed, and its plugin."""
    owner = _read(run).get("owner")
    return Recipe.load(run / package.RECIPE, catalogue, owner, changes), owner


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


def _digest(*splits: io.Dataset) -> str:
    """Changes when images come, go or change their size; not when the data set is moved."""
    rows = [
        (data.split, item.name, *(_size(path) for path in (item.image, item.mask, item.void)))
        for data in splits
        for item in data.items
    ]
    return sha256(json.dumps(rows).encode()).hexdigest()


def _size(path: Path | None) -> int:
    return path.stat().st_size if path is not None and path.is_file() else 0


def _record(
    data: str, learnt: io.Dataset, validation: Validation, owner: str | None, threads: int, images: str
) -> dict[str, Any]:
    return {
        "data": data,
        "train": len(learnt.items),
        "val": len(validation.items),
        "sha256": images,
        "owner": owner,
        "threads": threads,
        "versions": {name: version(name) for name in ("seg-toolkit", "torch", "numpy")}
        | {"python": sys.version.split()[0]},
    }


def _write(run: Path, record: dict[str, Any]) -> None:
    (run / RECORD).write_text(json.dumps(record, indent=1), encoding="utf8")


def _read(run: Path) -> dict[str, Any]:
    """The record of a run; empty where there is none."""
    path = run / RECORD
    try:
        record = json.loads(path.read_text(encoding="utf8")) if path.is_file() else {}
    except ValueError as error:
        raise InputError("the record of this training is damaged", path, "start anew with another -o") from error
    return record if isinstance(record, dict) else {}


def _same(out: Path, recipe: Recipe, images: str) -> None:
    """Refuse to go on with another recipe or other data: the result would be that of neither."""
    before = yaml.safe_load((out / package.RECIPE).read_text(encoding="utf8"))
    now, said = recipe.plain(), recipe.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    # A field that is younger than the run had its default.
    silent = {k: {n: v for n, v in now[k].items() if n not in said.get(k, {})} for k in now if isinstance(now[k], dict)}
    filled = {k: {**silent[k], **v} if k in silent and isinstance(v, dict) else v for k, v in before.items()}
    changed = sorted(k for k in now if filled.get(k, now[k] if k not in said else None) != now[k])
    if changed:
        raise UsageError(
            "this run was begun with another recipe",
            ", ".join(changed),
            "resume without --set, or start anew with another -o",
        )
    if _read(out).get("sha256", images) != images:
        raise UsageError("this run was begun with other images", out, "start anew with another -o")


def _left(out: Path) -> str:
    """What may be done after an interruption."""
    path = out / LAST
    return f"--resume goes on from step {read_progress(path).step}" if path.is_file() else ""
