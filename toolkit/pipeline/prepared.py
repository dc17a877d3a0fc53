"""What the network sees of an image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from toolkit.errors import InputError
from toolkit.plugins.recipe import Recipe
from toolkit.steps.normalise import Normalise, Scale, fit
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


def fitted(image: Image, how: Normalise) -> Scale:
    """The scale of what the network sees. Raises `InputError` where no voxel is finite, and where numbers of as many
    bits as the image has cannot tell its values apart or hold what lies between them."""
    with np.errstate(over="ignore", invalid="ignore"):
        scale = fit(image, how)
        exact: type[np.floating] = np.float64 if image.dtype.itemsize > 4 else np.float32
        close = not np.isfinite(scale.factor.astype(exact)).all()
    if close:
        raise InputError(
            "the values of this image lie too close together to be told apart", image.name,
            "multiply them by a large number, such as 1e30",
        )  # fmt: skip
    if not scale.constant and not scale.factor.any():
        do = "clip those that are no measurements"
        raise InputError("the values of this image lie too far apart", image.name, do)
    return scale
