"""The shipped model that suits an image, where nobody named one."""

from __future__ import annotations

from toolkit.errors import UsageError
from toolkit.plugins.catalogue import Catalogue
from toolkit.plugins.ranking import Candidate, rank
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
