"""Keep the outcome: in the run, or in a folder of its own."""

from __future__ import annotations

import json
import os.path
import shutil
from pathlib import Path
from typing import Any

from toolkit.errors import InputError, UsageError
from toolkit.files import bounded, whole
from toolkit.registry.package import RECIPE, WEIGHTS, ModelPackage
from toolkit.tune.tuned import Tuned

RECORD = "tuned.json"


def is_run(reference: str) -> bool:
    """Whether this is the folder of a training run, which keeps what is tuned."""
    return (Path(reference) / RECIPE).is_file()


def free(out: Path) -> None:
    """Refuse a folder that exists; raises `UsageError`."""
    if os.path.lexists(out):
        raise UsageError("the output exists", out, "choose another -o")


def keep(tuned: Tuned, run: Path) -> list[Path]:
    """Rewrite the recipe of a run; the record keeps what it was before, and all earlier records."""
    record, recipe = run / RECORD, run / RECIPE
    earlier = _records(record)
    before = recipe.read_text(encoding="utf8")
    # The record first: whatever happens in between, no recipe is lost.
    whole.text(record, json.dumps([*earlier, {**tuned.to_json(), "recipe_before": before}], indent=1))
    whole.text(recipe, tuned.recipe.dump())
    return [recipe, record]


def save(tuned: Tuned, model: ModelPackage, out: Path) -> list[Path]:
    """A new folder with the tuned recipe, the record and, where the model is a recipe beside its weights, those."""
    weights = [model.source.parent / WEIGHTS, model.source.with_suffix(".safetensors")]
    found = [path for path in weights if path.is_file()][:1]
    with whole.folder(out) as draft:
        for path in found:
            shutil.copyfile(path, draft / WEIGHTS)
        (draft / RECIPE).write_text(tuned.recipe.dump(), encoding="utf8")
        (draft / RECORD).write_text(json.dumps([tuned.to_json()], indent=1), encoding="utf8")
    return [out / name for name in (RECIPE, *([WEIGHTS] if found else []), RECORD)]


def _records(path: Path) -> list[Any]:
    if not path.is_file():
        return []
    try:
        records = bounded.read_json(path)
    except (ValueError, OSError) as error:
        raise InputError("this record is damaged", path, "move it away") from error
    if not isinstance(records, list):
        raise InputError("this is no record of tuning", path, "move it away")
    return records
