"""Begin or resume a training in a folder."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from toolkit import io
from toolkit.errors import InputError, Interrupted, StorageError, UsageError
from toolkit.gpu.backend import select
from toolkit.lock import held
from toolkit.plugins.catalogue import Catalogue
from toolkit.recipe import Recipe
from toolkit.registry import package
from toolkit.training.checkpoint import LAST, Progress, read_progress
from toolkit.training.data import Crops
from toolkit.training.loop import Budget, Report
from toolkit.training.loop import train as loop
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
    tell: Callable[[Report], None] = lambda _: None,
) -> Progress:
    """Train `recipe` on the splits `train` and `val` of the data set folder `data`; the run is the folder `out`.

    `minutes` limits the time, else `recipe.training.steps` counts. `model` gives the first weights. `owner` is the
    plugin whose names the recipe uses first. `threads` defaults to all cores. With `resume`, a run that was stopped
    goes on as if it had not been; its recipe and its data must be the same.
    """
    out = Path(out)
    crops, validation = (
        Crops(_split(data, "train"), recipe),
        Validation(_split(data, "val"), by=recipe.training.validate_),
    )
    if model is not None:
        model.with_recipe(recipe)
    backend = select(device)
    images = _digest(crops.data, validation.data)
    try:
        if out.exists() and not out.is_dir():
            raise UsageError("this is no folder", out, "choose another -o")
        out.mkdir(parents=True, exist_ok=True)
        with held(out):
            going_on = resume and (out / LAST).is_file()
            if going_on:
                threads = threads or read_progress(out / LAST).threads
                _same(out, recipe, images)
            elif not resume and any(out.glob("*.safetensors")):
                raise UsageError("the output exists", out, "choose another -o, or say --resume")
            else:
                (out / package.RECIPE).write_text(recipe.dump(), encoding="utf8")
            threads = threads or cores()
            record = _record(str(data), crops, validation, owner, threads, images)
            (out / RECORD).write_text(json.dumps(record, indent=1), encoding="utf8")
            budget = Budget(recipe.training.steps, minutes)
            return loop(recipe, crops, validation, out, backend, budget, threads, model, resume, tell)
    except KeyboardInterrupt as error:
        raise Interrupted("interrupted", out, _left(out)) from error
    except OSError as error:
        raise StorageError(
            "cannot write the run", f"{out} ({error.strerror or error})", "free space, or choose another -o"
        ) from error


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
    data: str, crops: Crops, validation: Validation, owner: str | None, threads: int, images: str
) -> dict[str, Any]:
    return {
        "data": data,
        "train": len(crops.data.items),
        "val": len(validation.items),
        "sha256": images,
        "owner": owner,
        "threads": threads,
        "versions": {name: version(name) for name in ("seg-toolkit", "torch", "numpy")}
        | {"python": sys.version.split()[0]},
    }


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
