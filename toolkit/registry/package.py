"""A model: recipe and weights, wherever they come from."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.errors import ModelError, UsageError
from toolkit.files import bounded, whole
from toolkit.plugins import seams
from toolkit.plugins.card import Card
from toolkit.plugins.catalogue import Catalogue
from toolkit.plugins.phases import Member
from toolkit.plugins.recipe import Recipe
from toolkit.plugins.specs import Network
from toolkit.plugins.told import told
from toolkit.registry.bioimageio.formats import NAMES
from toolkit.registry.gate import record, refusing, yaml
from toolkit.registry.needs import present
from toolkit.values.prediction import Head

if TYPE_CHECKING:
    import torch

    from toolkit.registry.gate.graph import Graph

WEIGHTS = "best.safetensors"
"""Name of the weights in the folder of a training run."""
RECIPE = "recipe.yaml"
"""Name of the recipe in the folder of a training run."""
TRAINING = "training.json"
"""Name of what a training run says of itself in its folder."""


@dataclass(frozen=True, eq=False)
class ModelPackage:
    """Recipe and weights of a trained method.

    `owner` is the plugin whose names the recipe uses first; `sha256` is the digest of the weights; `build` gives the
    network in evaluation mode, `(B, C, *S) -> {head: (B, channels, *S)}` of raw outputs; `heads` are its outputs.
    `reference` finds the same model again in another process: pass it to `resolve.load`.
    """

    name: str
    recipe: Recipe
    owner: str | None
    sha256: str
    source: Path
    reference: str
    heads: tuple[Head, ...]
    build: Callable[[], torch.nn.Module]
    graph: Callable[[], Graph] | None = None
    """The same network as a graph of the package, if it has one: the heads in order, `tanh` applied."""
    version: str = "1.0"
    licence: str = "unknown"
    takes: int | None = None
    """Channels that the network takes, if it has been given another recipe."""
    notes: tuple[str, ...] = ()
    """What its user should know of how it is run."""
    trusted: bool = False
    """Whether it is code that runs because the user trusts it."""

    def lends(self, recipe: Recipe) -> bool:
        """Whether the recipe's network is another one that has the weights of this model's."""
        own, other = self.recipe, recipe.network
        return other != own.network and other.shares()[0] == own.network.shares()[0] and _alike(recipe, own)

    def with_recipe(self, recipe: Recipe, heads_from: str = "the model") -> ModelPackage:
        """The same network with another recipe around it, or its weights in a network that shares them.

        Raises `UsageError` if the network would differ otherwise.
        """
        own = self.recipe
        if own.network.untrained and recipe.network == own.network:
            return replace(self, recipe=recipe, heads=recipe.heads)
        same = (recipe.network, recipe.heads) == (own.network, own.heads) and _alike(recipe, own)
        if not same and not self.lends(recipe):
            raise UsageError(
                f"network and heads are fixed by {heads_from}",
                self.name,
                "change only input, normalise, postprocess and tiling, or train anew",
            )
        chosen = recipe.input.channels
        takes = self.takes or own.input.count
        if chosen != "all" and channels(recipe) != (takes or channels(recipe)):
            raise UsageError(
                f"the model takes {takes} channel{'s'[: takes != 1]}", f"input.channels={chosen}", "name as many"
            )
        if same:
            return replace(self, recipe=recipe, takes=takes)
        return replace(
            self, recipe=recipe, takes=takes, heads=recipe.heads, build=partial(_lend, self.build, recipe), graph=None
        )


def _alike(one: Recipe, other: Recipe) -> bool:
    """Whether equal heads of two recipes mean the same."""
    return one.loss is None or other.loss is None or one.loss.means(other.loss)


def _lend(weights: Callable[[], torch.nn.Module], recipe: Recipe) -> torch.nn.Module:
    """The recipe's network with the weights of another."""
    module = network(recipe)
    module.load_state_dict(weights().state_dict(), strict=True)
    return module.eval()


def is_run(folder: Path) -> bool:
    """Whether this is the folder of a training run. A description beside a recipe makes it a package: what is tested,
    installed and run is then that."""
    return (folder / RECIPE).is_file() and not any((folder / name).is_file() for name in NAMES)


def from_run(folder: Path, catalogue: Catalogue, owner: str | None, reference: str) -> ModelPackage:
    """The model that a training run left in its folder, and called as that is: its recipe may be named after the model
    that it began with. It may be somebody else's folder: its texts are read with care.

    The recipe's names are first those of the plugin that the run recorded; `owner` stands where it recorded none.
    """
    if (folder / RECIPE).is_file():
        with refusing("this recipe cannot be read", folder / RECIPE):
            yaml.parse(bounded.read(folder / RECIPE), folder / RECIPE)
    said = trained(folder)
    recorded, distributions = said.get("owner"), said.get("distributions")
    owner = recorded if isinstance(recorded, str) else owner
    known = distributions if isinstance(distributions, dict) else {}
    present([*map(str, known), *([recorded] if isinstance(recorded, str) else [])], known, catalogue, reference)
    found = with_weights(folder / RECIPE, folder / WEIGHTS, catalogue, owner, reference)
    return replace(found, name=folder.resolve().name)


def trained(folder: Path) -> dict[str, Any]:
    """What the training run in a folder says of itself; empty where it says nothing. `ModelError` if it is damaged."""
    path = folder / TRAINING
    with refusing("the record of this training cannot be read", path):
        return record.parse(bounded.read(path), path) if path.is_file() else {}


def with_weights(
    recipe_file: Path, weights: Path, catalogue: Catalogue, owner: str | None, reference: str
) -> ModelPackage:
    """The model of a recipe file and the weights beside it."""
    if not weights.is_file() and (recipe := unlearnt(recipe_file, catalogue, owner)):
        return from_files(recipe_file, recipe_file, recipe, owner, reference)
    if not weights.is_file():
        raise ModelError("the weights are missing", weights, "was the training stopped before its first validation?")
    return from_files(recipe_file, weights, Recipe.load(recipe_file, catalogue, owner), owner, reference)


def unlearnt(recipe_file: Path, catalogue: Catalogue, owner: str | None) -> Recipe | None:
    """The recipe in a file, if its network has no weights, so that the recipe alone is the model."""
    recipe = Recipe.load(recipe_file, catalogue, owner)
    return recipe if recipe.network.untrained else None


def from_files(
    recipe_file: Path, weights: Path, recipe: Recipe, owner: str | None = None, reference: str = ""
) -> ModelPackage:
    """The model with this recipe, read from `recipe_file`, and these weights, which are that file if it has none."""
    return ModelPackage(
        name=recipe.name,
        recipe=recipe,
        owner=owner,
        sha256=file_digest(weights),
        source=recipe_file,
        reference=reference,
        heads=recipe.heads,
        build=lambda: build(recipe, weights),
        licence=Card.beside(recipe_file).licence,
    )


def channels(recipe: Recipe) -> int:
    """How many channels the network sees."""
    count = recipe.input.count
    if count is None:
        raise UsageError("the number of channels is unknown", "input.channels=all", "list them: input.channels=[0,1]")
    return count


def network(recipe: Recipe, member: Member[Network] | None = None) -> torch.nn.Module:
    """The recipe's network, or another one of its training, with fresh weights; raises `UsageError` if it cannot be
    built, `PluginError` if what is built is none."""
    member = member or Member(recipe.network, recipe.heads)
    seen = channels(recipe) + member.more
    with seams.calling(member.network, "build"), told("network"):
        found = member.network.build(seen, member.heads, recipe.ndim)
    return seams.module(found, member.network)


def build(recipe: Recipe, weights: Path) -> torch.nn.Module:
    """The recipe's network with these weights, in evaluation mode.

    Raises `ModelError` if a tensor is absent, left over or of another shape: wrong weights never pass in silence.
    """
    from toolkit.registry.gate import tensors
    from toolkit.registry.gate.fitted import fitted

    try:
        data = weights.read_bytes()
    except OSError as error:
        raise ModelError("the weights cannot be read", f"{weights} ({error.strerror})", "check the file") from error
    state = {name: tensor.float() for name, tensor in tensors.safetensors(data, weights).items()}
    return fitted(lambda: network(recipe), state, weights).eval()


def save(module: torch.nn.Module, path: Path, half: bool = False) -> None:
    """Write the weights as safetensors, atomically; `half` stores floating tensors in 16 bits."""
    from safetensors.torch import save as packed

    state: dict[str, Any] = {
        name: (tensor.half() if half and tensor.is_floating_point() else tensor).contiguous()
        for name, tensor in module.state_dict().items()
    }
    with whole.file(path) as made:
        made.write_bytes(packed(state))  # a full disk is an `OSError` only here


def file_digest(path: Path) -> str:
    """sha256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def stored_names(catalogue: Catalogue) -> Sequence[str]:
    """Names of all models that plugins ship."""
    recipes = catalogue.collect("recipes")
    return sorted(name for name, path in recipes.items() if path.with_suffix(".safetensors").is_file())
