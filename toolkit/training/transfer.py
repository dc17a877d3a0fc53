"""A model as the start of a training, also of another method."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from toolkit.errors import UsageError
from toolkit.files import plain_yaml
from toolkit.registry import package

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import torch

    from toolkit.plugins.recipe import Recipe
    from toolkit.values.prediction import Head


def starting(model: package.ModelPackage, recipe: Recipe) -> tuple[package.ModelPackage, tuple[Head, ...]]:
    """`model` with the weights that `recipe` begins with, and the heads that begin anew.

    Where the heads are the same, and mean the same, these are all weights, otherwise those of the network without its
    heads. Raises `UsageError` if both networks have not the same tensors there.
    """
    own = model.recipe
    equal = recipe.heads == own.heads and recipe.main.means(own.main)
    if (equal and recipe.network == own.network) or model.lends(recipe):
        return model.with_recipe(recipe), ()
    model.with_recipe(own.model_copy(update={"input": recipe.input}))  # the same channels
    lent, taken = _part(own, model.build(), equal), _part(recipe, package.network(recipe), equal)
    if not taken or {n: t.shape for n, t in lent.items()} != {n: t.shape for n, t in taken.items()}:
        spec = {"kind": own.network.kind} | own.network.model_dump(mode="json", exclude_defaults=True)
        how = f"try --set 'network={plain_yaml.dump(spec, flow=True)}'"
        raise UsageError("the network of the model, without its heads, is not that of the recipe", model.reference,
                         how if recipe.network != own.network else "train without --model")  # fmt: skip
    start = replace(model, recipe=recipe, heads=recipe.heads, build=partial(_grown, model.build, recipe, equal),
                    graph=None)  # fmt: skip
    return start, () if equal else recipe.heads


def _part(recipe: Recipe, module: torch.nn.Module, heads: bool) -> Mapping[str, torch.Tensor]:
    """The tensors of a network, with its `heads` or without them."""
    _, trunk = recipe.network.shares()
    return {name: tensor for name, tensor in module.state_dict().items() if heads or name.startswith(trunk)}


def _grown(lend: Callable[[], torch.nn.Module], recipe: Recipe, heads: bool) -> torch.nn.Module:
    """The recipe's network with what is lent; what is not is as it was drawn."""
    module, lent = package.network(recipe), lend().state_dict()
    module.load_state_dict({name: lent[name] for name in _part(recipe, module, heads)}, strict=False)
    return module
