"""What `input.channels: auto` becomes in a training: the same for all its images, and stored with the model."""

from __future__ import annotations

from collections import Counter

from toolkit.io import Dataset
from toolkit.plugins.recipe import Recipe
from toolkit.steps.choice import Choice, Learnt, choose
from toolkit.values.image import Image

LOOKED_AT = 50
"""Images, evenly among all, that say what is meant."""


def resolved(recipe: Recipe, data: Dataset) -> tuple[Recipe, str]:
    """The recipe with what most images say, and a sentence about it; as it is if it names channels itself."""
    if recipe.input.channels != "auto":
        return recipe, ""
    items = data.items[:: -(-len(data.items) // LOOKED_AT)]
    found = Counter(_learnt(image, choose(image, "auto", None, recipe.input.knows)) for image in map(data.image, items))
    (learnt, said), most = found.most_common(1)[0]
    more = f"; {len(items) - most} of {len(items)} images looked at differ" if most < len(items) else ""
    chosen = recipe.input.model_copy(update={"learnt": learnt})
    sentence = f"learns {said}{more}" if learnt.of > 1 or more else ""
    return recipe.model_copy(update={"input": chosen}), sentence


def _learnt(image: Image, choice: Choice) -> tuple[Learnt, str]:
    inside = isinstance(choice.channels, tuple) and bool(image.channel_names)
    names = tuple(image.channel_names[c] for c in choice.channels if isinstance(c, int)) if inside else ()
    return Learnt(channels=choice.channels, of=image.channels, names=names), choice.said
