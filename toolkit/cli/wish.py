"""What the user wants of `seg run`: the model, the images, the output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.errors import InputError, ModelError
from toolkit.files import bounded
from toolkit.values.rescaling import Rescaling

if TYPE_CHECKING:
    from toolkit.io import Found
    from toolkit.plugins.catalogue import Catalogue
    from toolkit.registry.package import ModelPackage
    from toolkit.values.image import Image

UNLIKE = 1.25
"""Voxels that are so many times as deep, for their width, ask for other settings."""


@dataclass(frozen=True)
class Wish:
    """What the user typed."""

    inputs: tuple[str, ...]
    plugin: str | None = None
    model: str | None = None
    out: Path | None = None
    changes: tuple[str, ...] = ()
    device: str = "auto"
    engine: str = "auto"
    axes: str | None = None
    voxel_size: tuple[float, ...] | None = None
    workers: int = 0
    scheduler: str | None = None
    work: Path | None = None
    skip: tuple[str, ...] = ()
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
    diameter: str | None = None
    roi: str | None = None
    mask: Path | None = None
    show: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    ome_zarr: str | None = None
    sizes: Mapping[str, Rescaling] = field(default_factory=dict)
    """At what size the images of a record that is repeated were seen, by path."""
    recipe: dict[str, Any] | None = None
    """The whole recipe of a record that is repeated."""
    sha256: str | None = None
    """The weights of that record."""
    digests: Mapping[str, str] = field(default_factory=dict)
    """What its images were, by path."""


@dataclass(frozen=True)
class First:
    """The first image, which is opened once for all that ask for it: a picture is unpacked then."""

    wish: Wish
    found: Found

    @cached_property
    def image(self) -> Image:
        """Raises `InputError` where it cannot be read."""
        return _opened(self.wish, self.found)

    @property
    def readable(self) -> Image | None:
        """None where it cannot be read, which is said when its turn comes."""
        try:
            return self.image
        except InputError:
            return None


def chosen(wish: Wish, catalogue: Catalogue, first: First) -> tuple[ModelPackage, str]:
    """The model that was asked for, with the changes applied; and what the first image asked for beside.

    `--plugin P` takes the model that P ships; `--model M` that one; both take the network of M and, where M's
    heads allow it, the post-processor of P. `--recipe R` runs M with R, whose network must take its weights. Where no
    recipe was named and the image has another number of axes than the model, a recipe that fits both is taken.
    """
    from toolkit.plugins.recipe import Recipe, recipe_named
    from toolkit.plugins.sections import asked
    from toolkit.registry import resolve

    owner = None if wish.plugin is None else catalogue.plugin(wish.plugin).name
    if wish.model is None and wish.plugin is not None:
        loaded = resolve.shipped(wish.plugin, catalogue, owner)
    else:
        loaded = resolve.load(wish.model or _modelled(str(wish.named), catalogue), catalogue, owner)
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
    why = ""
    if wish.named is not None:
        recipe, _ = recipe_named(wish.named, catalogue, (), owner or loaded.owner)
    elif wish.recipe is None and owner in (None, loaded.owner):
        loaded, why = _fit(loaded.with_recipe(recipe), first, catalogue)
        recipe = loaded.recipe
    recipe = recipe.changed((*wish.changes, *asked(wish.channels)), catalogue, loaded.owner or owner)
    loaded = loaded.with_recipe(recipe)
    recipe.expects(loaded.heads)
    return loaded, why


def _fit(model: ModelPackage, first: First, catalogue: Catalogue) -> tuple[ModelPackage, str]:
    """`lent` for the first image."""
    from toolkit.registry.choose import lent

    image = first.readable
    return (model, "") if image is None else lent(model, image, catalogue)


def _opened(wish: Wish, found: Found) -> Image:
    from toolkit import io

    return io.frames(found.path, wish.axes or found.axes, wish.voxel_size or found.voxel_size)[0]


def _modelled(named: str, catalogue: Catalogue) -> str:
    """The model that a recipe alone means: a file with its weights beside it or without any, else that of its name."""
    from toolkit.plugins.recipe import recipe_named

    recipe, owner = recipe_named(named, catalogue)
    path = Path(named)
    if path.suffix not in (".yaml", ".yml") or recipe.network.untrained or path.with_suffix(".safetensors").is_file():
        return named if owner is None or ":" in named else f"{owner}:{named}"
    return recipe.name


def fitted(wish: Wish, first: First, catalogue: Catalogue) -> tuple[Wish, str]:
    """The wish with the shipped model that suits the first image, where no method was named, and why that one."""
    if wish.plugin is not None or wish.model is not None or wish.named is not None:
        return wish, ""
    from toolkit.registry.choose import choose

    best, *others = choose(first.image, catalogue)
    also = f"; others: {', '.join(other.name for other in others)} (--model NAME)" if others else ""
    how = f"; recipe {best.named} with {', '.join(best.changes)}" if best.named else ""
    wish = replace(wish, model=best.name, named=best.named, changes=(*best.changes, *wish.changes))
    return wish, f"{best.fit.reason}{how}{also}"


def unlike(wish: Wish, first: First, found: Sequence[Found]) -> str:
    """A sentence if volumes have voxels of another shape than the first one, which the recipe follows; or nothing."""
    image = first.image
    if image.ndim < 3 or not image.calibrated or wish.voxel_size:
        return ""

    def depth(image: Image) -> float:
        return image.voxel_size[0] / image.voxel_size[-1]

    others = []
    for one in found[1:]:
        with suppress(InputError):  # said when its turn comes
            other = _opened(wish, one)
            ratio = depth(other) / depth(image) if other.ndim == 3 and other.calibrated else 1.0
            others += [one.stem] if max(ratio, 1 / ratio) > UNLIKE else []
    more = f" and {len(others) - 3} more" if len(others) > 3 else ""
    return f"the recipe follows the voxels of {found[0].stem}; those of {', '.join(others[:3])}{more} have another " \
           "shape: run them by themselves" if others else ""  # fmt: skip


def repeated(wish: Wish, record: Path) -> Wish:
    """The wish of an earlier run; what is typed now goes before it."""
    from toolkit.running.recorded import Told

    try:
        data = bounded.read_json(record, 2**29)
        model, told = data["model"], Told.model_validate(data["options"])
        inputs = tuple(image["input"] for image in data["images"])
        same = wish.model is None and wish.diameter is None
        sizes = {one["input"]: _rescaling(one["size"]) for one in data["images"] if same and one.get("size")}
        return replace(
            wish,
            inputs=wish.inputs or inputs,
            plugin=wish.plugin or (None if wish.model else model["owner"]),
            model=wish.model or model["reference"],
            sha256=None if wish.model else model["sha256"],
            recipe=data["recipe"],
            axes=wish.axes or told.axes,
            voxel_size=wish.voxel_size or told.voxel_size or None,
            block=wish.block or told.block,
            preview=wish.preview and told.preview,
            features=wish.features or told.features,
            show=wish.show or told.show,
            also=wish.also or told.also,
            ome_zarr=wish.ome_zarr or told.ome_zarr,
            parquet=wish.parquet or told.parquet,
            min_score=wish.min_score or told.min_score or 0.0,
            diameter=wish.diameter or told.diameter,
            sizes=sizes,
            roi=wish.roi or told.roi,
            skip=wish.skip or told.skip,
            mask=wish.mask or (Path(told.mask) if told.mask else None),
            digests={one["input"]: str(one.get("sha256") or "") for one in data["images"]},
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError("this is no record of a run", record, "name the run.json of an output folder") from error


def _rescaling(plain: Mapping[str, Any]) -> Rescaling:
    return Rescaling(tuple(float(b) for b in plain["by"]), plain["diameter_px"], plain["said"])


def default_out(inputs: tuple[str, ...], stems: list[str]) -> Path:
    """`STEM.seg` in the working folder; for a folder or a data set its name."""
    name = (
        stems[0] if len(stems) == 1 else Path(inputs[0].rstrip("/").replace(":", "-").replace("*", "")).name or "images"
    )
    return Path(f"{name}.seg")
