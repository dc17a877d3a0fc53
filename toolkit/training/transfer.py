"""First weights of a training, from a model of this or of another method."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from toolkit.errors import UsageError
from toolkit.registry import package

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    import torch

    from toolkit.prediction import Head
    from toolkit.recipe import Recipe


def first(model: package.ModelPackage, recipe: Recipe) -> tuple[package.ModelPackage, tuple[Head, ...]]:
    """`model` with the network of `recipe`, and the heads that begin anew.

    A model of another method lends its network without the heads, if there each tensor has its name and its shape.
    Raises `UsageError` if it has not.
    """
    try:
        return model.with_recipe(recipe), ()
    except UsageError:
        new = recipe.heads if recipe.heads != model.recipe.heads else ()
        lent, own = model.build().state_dict(), _network(recipe, recipe.heads).state_dict()
        anew = _tensors(recipe) if new else frozenset()
        kept = own.keys() - anew
        if not kept or any(name not in lent or lent[name].shape != own[name].shape for name in kept):
            raise
    build = partial(_grown, model.build, recipe, kept)
    return replace(model, recipe=recipe, heads=recipe.heads, build=build), new


def _network(recipe: Recipe, heads: tuple[Head, ...]) -> torch.nn.Module:
    return recipe.network.build(package.channels(recipe), heads, recipe.ndim)


def _tensors(recipe: Recipe) -> frozenset[str]:
    """Names of the tensors of a network whose shape its heads decide."""
    larger = tuple(replace(head, channels=head.channels + 1) for head in recipe.heads)
    one, other = (_network(recipe, heads).state_dict() for heads in (recipe.heads, larger))
    return frozenset(name for name in one if name not in other or one[name].shape != other[name].shape)


def _grown(lend: Callable[[], torch.nn.Module], recipe: Recipe, kept: Collection[str]) -> torch.nn.Module:
    """The recipe's network with the lent tensors; the others as they were drawn."""
    module, lent = _network(recipe, recipe.heads), lend().state_dict()
    module.load_state_dict({name: lent[name] for name in kept}, strict=False)
    return module
