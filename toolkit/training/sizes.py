"""How large the objects of a training are, which is stored with the model."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from toolkit.io import Dataset
from toolkit.plugins.recipe import Recipe
from toolkit.steps.shrink import shrink_truth
from toolkit.steps.sizes import Sizes, diameters
from toolkit.training.data import reading

LOOKED_AT = 400
"""Images, evenly among all, whose objects are measured."""


SIZES, PRECISION = "input.diameter_px", "tiling.precision"
"""What a recipe says of the weights that lie beside it, and what is to be measured of others anew."""


def unmeasured(recipe: Recipe, fixed: Collection[str]) -> Recipe:
    """The recipe without what was measured of other weights than those that are to be trained, but for its fields
    (`section.field`) in `fixed`."""
    given, tiling = recipe.input, recipe.tiling
    if SIZES not in fixed:
        given = given.model_copy(update={"diameter_px": None})
    if PRECISION not in fixed:
        tiling = tiling.model_copy(update={"precision": "float32"})
    return recipe.model_copy(update={"input": given, "tiling": tiling})


def learnt(recipe: Recipe, data: Dataset, before: Sizes | None = None) -> Recipe:
    """The recipe with the sizes of the objects in `data`, as the network sees them, and a range that holds that of
    `before`, which it has learnt already; as it is if it names sizes itself, or if there are no objects that have
    one."""
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
    if before is not None:
        sizes = sizes.model_copy(update={"low": min(sizes.low, before.low), "high": max(sizes.high, before.high)})
    return recipe.model_copy(update={"input": recipe.input.model_copy(update={"diameter_px": sizes})})
