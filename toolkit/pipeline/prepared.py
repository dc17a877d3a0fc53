"""What the network sees of an image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from toolkit.errors import InputError
from toolkit.plugins.recipe import Recipe
from toolkit.steps.normalise import Scale
from toolkit.steps.shrink import shrink
from toolkit.values.image import Image
from toolkit.values.piece import Piece
from toolkit.values.prediction import Prediction


@dataclass(frozen=True, eq=False)
class Prepared:
    """What the network sees of an image: `image` and its `scale`, fitted once. `shape` is that of the image itself,
    `by` are the factors that it was rescaled by; none where it was not. `kept` are pieces of windows that were
    predicted `ahead`, by number, and `pace` the CPU seconds for each of the last of them. `shows`: what is to be
    `noted` of the heads of each window while it is predicted. `void`: windows that are left out, by number."""

    image: Image
    scale: Scale
    shape: tuple[int, ...]
    by: tuple[float, ...] = ()
    kept: Mapping[int, Piece] = field(default_factory=dict)
    pace: float = 0.0
    shows: tuple[str, ...] = ()
    noted: dict[int, Prediction] = field(default_factory=dict)
    void: tuple[int, ...] = ()


def prepare(image: Image, recipe: Recipe) -> Image:
    """What the network sees: channels, perhaps shrunk; raises a sentence if image and recipe do not fit."""
    if image.ndim != recipe.ndim:
        raise InputError(
            f"the model works on {recipe.ndim}-D images and this one is {image.ndim}-D",
            image.name,
            f"choose a {image.ndim}-D model, or say --axes",
        )
    return shrink(recipe.input.seen(image), recipe.shrink)
