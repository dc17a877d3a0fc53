"""What the user wants of `seg run`: the model, the images, the output."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.errors import InputError, ModelError, UsageError

if TYPE_CHECKING:
    from toolkit.io import Found
    from toolkit.plugins.catalogue import Catalogue
    from toolkit.registry.package import ModelPackage


@dataclass(frozen=True)
class Wish:
    """What the user typed."""

    inputs: tuple[str, ...]
    plugin: str | None = None
    model: str | None = None
    out: Path | None = None
    changes: tuple[str, ...] = ()
    device: str = "auto"
    axes: str | None = None
    voxel_size: tuple[float, ...] | None = None
    workers: int = 0
    scheduler: str | None = None
    stage: str | None = None
    only: range | None = None
    slurm: bool = False
    block: int | None = None
    resume: bool = False
    overwrite: bool = False
    strict: bool = False
    features: tuple[str, ...] = ()
    parquet: bool = False
    min_score: float = 0.0
    preview: bool = True
    dry_run: bool = False
    yes: bool = False
    channels: tuple[str, ...] = ()
    named: str | None = None
    """Name or file of a recipe to run the model with."""
    recipe: dict[str, Any] | None = None
    """The whole recipe of a record that is repeated."""
    sha256: str | None = None
    """The weights of that record."""


def chosen(wish: Wish, catalogue: Catalogue) -> ModelPackage:
    """The model that was asked for, with the changes applied.

    `--plugin P` takes the model that P ships; `--model M` that one; both take the network of M and, where M's
    heads allow it, the post-processor of P. `--recipe R` runs M with R, whose network must take its weights.
    """
    from toolkit.plugins.recipe import Recipe, recipe_named
    from toolkit.plugins.sections import asked
    from toolkit.registry import resolve

    if wish.plugin is None and wish.model is None:
        raise UsageError("no method was named", "--plugin or --model", "see seg plugins list")
    owner = None
    if wish.plugin is not None:
        owner = catalogue.plugin(wish.plugin).name
    loaded = resolve.load(wish.model or str(wish.plugin), catalogue, owner)
    if wish.sha256 not in (None, loaded.sha256):
        raise ModelError(
            "this is not the model of that run any more",
            f"{wish.model}, sha256 {loaded.sha256[:12]} instead of {str(wish.sha256)[:12]}",
            "name the one to use with --model",
        )
    recipe = loaded.recipe
    if wish.recipe is not None:
        recipe = Recipe.parse(wish.recipe, catalogue, loaded.owner)
    elif wish.model is not None and owner is not None and owner != loaded.owner:
        path = catalogue.find("recipes", owner, owner)
        theirs = Recipe.load(path, catalogue, owner).postprocess
        recipe = Recipe.parse({**recipe.plain(), "postprocess": theirs.model_dump(mode="json")}, catalogue, owner)
    if wish.named is not None:
        recipe, _ = recipe_named(wish.named, catalogue, (), owner or loaded.owner)
    recipe = recipe.changed((*wish.changes, *asked(wish.channels)), catalogue, loaded.owner or owner)
    loaded = loaded.with_recipe(recipe)
    recipe.expects(loaded.heads)
    return loaded


def fitted(wish: Wish, first: Found, catalogue: Catalogue) -> tuple[Wish, str]:
    """The wish with the shipped model that suits the first image, where no method was named, and why that one."""
    if wish.plugin is not None or wish.model is not None or wish.named is not None:
        return wish, ""
    from toolkit import io
    from toolkit.registry.choose import choose

    image = io.frames(first.path, wish.axes or first.axes, wish.voxel_size or first.voxel_size)[0]
    best, *others = choose(image, catalogue)
    also = f"; others: {', '.join(other.name for other in others)} (--model NAME)" if others else ""
    return replace(wish, model=best.name, changes=(*best.changes, *wish.changes)), f"{best.fit.reason}{also}"


def repeated(wish: Wish, record: Path) -> Wish:
    """The wish of an earlier run; what is typed now goes before it."""
    try:
        data = json.loads(record.read_text(encoding="utf8"))
        model, options = data["model"], data["options"]
        inputs = tuple(image["input"] for image in data["images"])
        size = options["voxel_size"]
        return replace(
            wish,
            inputs=wish.inputs or inputs,
            plugin=wish.plugin or (None if wish.model else model["owner"]),
            model=wish.model or model["reference"],
            sha256=None if wish.model else model["sha256"],
            recipe=data["recipe"],
            axes=wish.axes or options["axes"],
            voxel_size=wish.voxel_size or (tuple(size) if size else None),
            block=wish.block or options["block"],
            preview=wish.preview and options["preview"],
            features=wish.features or tuple(options.get("features", ())),
            parquet=wish.parquet or bool(options.get("parquet")),
            min_score=wish.min_score or float(options.get("min_score", 0.0)),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError("this is no record of a run", record, "name the run.json of an output folder") from error


def default_out(inputs: tuple[str, ...], stems: list[str]) -> Path:
    """`STEM.seg` in the working folder; for a folder or a data set its name."""
    name = (
        stems[0] if len(stems) == 1 else Path(inputs[0].rstrip("/").replace(":", "-").replace("*", "")).name or "images"
    )
    return Path(f"{name}.seg")
