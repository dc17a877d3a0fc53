"""How large the objects of a training are, which is stored with the model."""

from __future__ import annotations

import numpy as np

from toolkit.io import Dataset
from toolkit.plugins.recipe import Recipe
from toolkit.steps.shrink import shrink_truth
from toolkit.steps.sizes import Sizes, diameters
from toolkit.training.data import reading

LOOKED_AT = 400
"""Images, evenly among all, whose objects are measured."""


def learnt(recipe: Recipe, data: Dataset) -> Recipe:
    """The recipe with the sizes of the objects in `data`, as the network sees them; as it is if it names sizes itself,
    or if there are no objects that have one."""
    if recipe.input.diameter_px is not None:
        return recipe
    found = [np.zeros(0)]
    for item in data.items[:: -(-len(data.items) // LOOKED_AT)]:
        with reading(item):
            truth = shrink_truth(data.truth(item), recipe.shrink)
        found.append(diameters(truth.instances.sizes, truth.ndim))
    every = np.concatenate(found)
    if not len(every) or every.max() <= diameters(np.ones(1), recipe.ndim)[0]:  # points
        return recipe
    sizes = Sizes.of(every, recipe.training.scales)
    return recipe.model_copy(update={"input": recipe.input.model_copy(update={"diameter_px": sizes})})
