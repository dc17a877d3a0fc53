"""Begin or resume a training in a folder."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

import yaml

from toolkit import io
from toolkit.errors import InputError, UsageError
from toolkit.gpu.backend import select
from toolkit.plugins.catalogue import Catalogue
from toolkit.recipe import Recipe
from toolkit.registry import package
from toolkit.training.checkpoint import LAST, Progress, read_progress
from toolkit.training.data import Crops
from toolkit.training.loop import Budget, Report
from toolkit.training.loop import train as loop
from toolkit.training.validate import Validation

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
    tell: Callable[[Report], None] = lambda _: None,
) -> Progress:
    """Train `recipe` on the splits `train` and `val` of the data set folder `data`; the run is the folder `out`.

    `minutes` limits the time, else `recipe.training.steps` counts. `model` gives the first weights. `owner` is the
    plugin whose names the recipe uses first. `threads` defaults to all cores. With `resume`, a run that was stopped
    goes on as if it had not been; its recipe must be the same.
    """
    out = Path(out)
    crops, validation = Crops(_split(data, "train"), recipe), Validation(_split(data, "val"))
    going_on = resume and (out / LAST).is_file()
    if going_on:
        threads = threads or read_progress(out / LAST).threads
        _same(out, recipe)
    elif any(out.glob("*.safetensors")) if out.is_dir() else out.exists():
        raise UsageError("the output exists", out, "choose another -o, or say --resume")
    threads = threads or _cores()
    out.mkdir(parents=True, exist_ok=True)
    if not going_on:
        (out / package.RECIPE).write_text(recipe.dump(), encoding="utf8")
    record = {
        "data": str(data),
        "train": len(crops.data.items),
        "val": len(validation.items),
        "owner": owner,
        "threads": threads,
        "versions": {name: version(name) for name in ("seg-toolkit", "torch", "numpy")}
        | {"python": sys.version.split()[0]},
    }
    (out / RECORD).write_text(json.dumps(record, indent=1), encoding="utf8")
    if model is not None:
        model.with_recipe(recipe)
    return loop(
        recipe,
        crops,
        validation,
        out,
        select(device),
        Budget(recipe.training.steps, minutes),
        threads,
        model,
        resume,
        tell,
    )


def recipe_of(run: Path, catalogue: Catalogue, changes: Sequence[str] = ()) -> tuple[Recipe, str | None]:
    """The recipe of a run that is resumed, and its plugin."""
    record = run / RECORD
    owner = json.loads(record.read_text(encoding="utf8")).get("owner") if record.is_file() else None
    return Recipe.load(run / package.RECIPE, catalogue, owner, changes), owner


def _split(data: str | Path, split: str) -> io.Dataset:
    found = io.open_dataset(f"{data}:{split}")
    if not found.items:
        raise InputError(f"the split {split!r} has no images", data, "see seg check")
    if found.items[0].mask is None:
        raise InputError("there are no masks to learn from", data, "put them into masks/")
    return found


def _same(out: Path, recipe: Recipe) -> None:
    """Refuse to go on with another recipe: the result would be that of neither."""
    before = yaml.safe_load((out / package.RECIPE).read_text(encoding="utf8"))
    now = recipe.plain()
    changed = sorted(k for k in now if before.get(k) != now[k])
    if changed:
        raise UsageError(
            "this run was begun with another recipe",
            ", ".join(changed),
            "resume without --set, or start anew with another -o",
        )


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
