"""The shipped model that suits an image, where nobody named one; a recipe for images with another axis."""

from __future__ import annotations

from toolkit.errors import InputError, ToolkitError, UsageError
from toolkit.plugins.catalogue import Catalogue
from toolkit.plugins.ranking import Candidate, following, rank
from toolkit.plugins.recipe import Recipe
from toolkit.registry import resolve
from toolkit.registry.package import ModelPackage
from toolkit.steps.survey import Survey
from toolkit.values.image import Image


def choose(image: Image, catalogue: Catalogue, plugin: str | None = None) -> tuple[Candidate, ...]:
    """The models that plugins ship (or one plugin does) and that suit the image, best first.

    Raises `UsageError` if there is none.
    """
    found = rank(Survey.of([image]), catalogue, trained=True, plugin=plugin)
    if not found.candidates:
        kind = f"{image.ndim}-D, {image.channels} channel{'s'[: image.channels != 1]}"
        why = f"; note: {'; '.join(found.notes)}" if found.notes else ""
        raise UsageError(
            "no installed model says that it suits this image", f"{image.name} ({kind})",
            f"name one with --plugin or --model, see seg models list; or train one, see seg check{why}",
        )  # fmt: skip
    return found.candidates


def load(candidate: Candidate, catalogue: Catalogue) -> ModelPackage:
    """The model, with the changes that it needs for such images."""
    return resolve.load(candidate.name, catalogue).with_recipe(candidate.recipe)


def lent(model: ModelPackage, image: Image, catalogue: Catalogue) -> tuple[ModelPackage, str]:
    """The model for images with as many axes as this one, and what was done, or the empty string.

    Where the model has another number of axes, an installed recipe whose network has the same weights takes its place,
    such as one for the planes of volumes; what follows from the voxel size is set. Raises `InputError` if there is
    none.
    """
    if model.recipe.ndim == image.ndim:
        return model, ""
    survey = Survey.of([image])
    for name, path in catalogue.collect("recipes").items():
        owner = name.partition(":")[0]
        try:
            recipe = Recipe.load(path, catalogue, owner)
            if recipe.ndim == image.ndim and model.lends(recipe):
                changes = following(recipe, survey)
                made = model.with_recipe(recipe.changed(changes, catalogue, owner))
                return made, f"recipe {path.stem} runs this {model.recipe.ndim}-D model; {', '.join(changes)}"
        except ToolkitError:
            continue  # another method's recipe is not what this model waits for
    raise InputError(
        f"the model works on {model.recipe.ndim}-D images and this one is {image.ndim}-D", image.name,
        f"choose a {image.ndim}-D model, or say --axes",
    )  # fmt: skip
