"""What `training.json` says of a training: its data, its start, what was deduced, how long it was."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

from toolkit import io
from toolkit.correct.dataset import recorded
from toolkit.errors import InputError, UsageError
from toolkit.files import bounded, plain_yaml, whole
from toolkit.plugins.catalogue import Catalogue
from toolkit.plugins.recipe import Recipe, changed
from toolkit.registry import package


def recipe_of(run: Path, catalogue: Catalogue, changes: Sequence[str] = ()) -> tuple[Recipe, str | None]:
    """The recipe that a run was begun with, and its plugin."""
    owner = package.trained(run).get("owner")
    return Recipe.parse(changed(begun(run), changes), catalogue, owner), owner


def begun(run: Path) -> dict[str, Any]:
    """The recipe that a run was begun with, as plain data: since then memory may have run out, or it was tuned."""
    recipe = package.trained(run).get("recipe")
    return recipe if isinstance(recipe, dict) else _plain(run / package.RECIPE)


def digest(*splits: io.Dataset) -> str:
    """Changes when images come, go, change their size or their weight; not when the data set is moved."""
    rows = [
        (data.split, item.name, *(_size(path) for path in (item.image, item.mask, item.void)),
         *([item.weight] if item.weight != 1 else []))
        for data in splits
        for item in data.items
    ]  # fmt: skip
    return sha256(json.dumps(rows).encode()).hexdigest()


def _size(path: Path | None) -> int:
    return path.stat().st_size if path is not None and path.is_file() else 0


def origin(model: package.ModelPackage | None) -> dict[str, str] | None:
    """What a training starts from; None for chance."""
    return None if model is None else {"model": model.reference, "sha256": model.sha256}


def same_start(run: Path, model: package.ModelPackage | None, going_on: bool) -> None:
    """Refuse to resume what began from another model; with `going_on`, its weights are known and none is needed."""
    known = package.trained(run)
    if not isinstance(known.get("start", 0), dict | None) or (going_on and model is None):
        return
    began, now = known["start"], origin(model)
    if began != now and not (began and now and began.get("sha256") == now["sha256"]):
        if not began:
            raise UsageError("this run was begun without a model", run, "resume without --model")
        raise UsageError("this run was begun from another model", run, f"resume with --model {began.get('model')}")


def fresh(data: str, learnt: io.Dataset, val: io.Dataset, owner: str | None) -> dict[str, Any]:
    """What the record of a training says of its data and of the programs."""
    taught = recorded(data)
    return {
        **({"corrections": {name: taught[name] for name in ("sha256", "held", "images")}} if taught else {}),
        "data": data,
        "train": len(learnt.items),
        "val": len(val.items),
        "sha256": digest(learnt, val),
        "owner": owner,
        "versions": {name: version(name) for name in ("seg-toolkit", "torch", "numpy")}
        | {"python": sys.version.split()[0]},
    }


def only_ours(run: Path, names: Sequence[str], going_on: bool) -> None:
    """Refuse to write over links, and over files of these `names` that no training left in the folder `run`."""
    ours = going_on or "sha256" in package.trained(run)
    for path in (run / name for name in (package.TRAINING, *names)):
        whole.replaceable(path)
        if path.exists() and not ours:
            raise UsageError("no training wrote this, so none writes over it", path, "choose another -o")


def write(run: Path, record: dict[str, Any]) -> None:
    """Leave the record in the folder of the run."""
    whole.text(run / package.TRAINING, json.dumps(record, indent=1))


def same_recipe(out: Path, recipe: Recipe, images: str) -> None:
    """Refuse to go on with another recipe or other data: the result would be that of neither."""
    _plain(out / package.RECIPE)  # damaged, no model could be loaded from the run
    # First, since a recipe also says what was learnt from the images.
    if package.trained(out).get("sha256", images) != images:
        raise UsageError("this run was begun with other images", out, "start anew with another -o")
    before = begun(out)
    now, said = recipe.plain(), recipe.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    # A field that is younger than the run had its default.
    silent = {k: {n: v for n, v in now[k].items() if n not in said.get(k, {})} for k in now if isinstance(now[k], dict)}
    filled = {k: {**silent[k], **v} if k in silent and isinstance(v, dict) else v for k, v in before.items()}
    others = sorted(k for k in now if filled.get(k, now[k] if k not in said else None) != now[k])
    if others:
        raise UsageError(
            "this run was begun with another recipe",
            ", ".join(others),
            "resume without --set, or start anew with another -o",
        )


def _plain(path: Path) -> dict[str, Any]:
    """The sections of a recipe that a run has written."""
    try:
        found = plain_yaml.load(bounded.read(path))
    except (plain_yaml.NotPlain, OSError):
        found = None
    if not isinstance(found, dict):
        raise InputError("the recipe of this training is damaged", path, "start anew with another -o")
    return found
