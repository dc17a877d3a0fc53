"""A model: recipe and weights, wherever they come from."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.errors import ModelError, UsageError, nearest
from toolkit.plugins.catalogue import Catalogue
from toolkit.plugins.recipe import Recipe
from toolkit.registry.bioimageio.description import NAMES
from toolkit.registry.gate import yaml
from toolkit.values.prediction import Head

if TYPE_CHECKING:
    import torch

WEIGHTS = "best.safetensors"
"""Name of the weights in the folder of a training run."""
RECIPE = "recipe.yaml"
"""Name of the recipe in the folder of a training run."""


@dataclass(frozen=True, eq=False)
class ModelPackage:
    """Recipe and weights of a trained method.

    `owner` is the plugin whose names the recipe uses first; `sha256` is the digest of the weights; `build` gives the
    network in evaluation mode, `(B, C, *S) -> {head: (B, channels, *S)}` of raw outputs; `heads` are its outputs.
    `reference` finds the same model again in another process: pass it to `load`.
    """

    name: str
    recipe: Recipe
    owner: str | None
    sha256: str
    source: Path
    reference: str
    heads: tuple[Head, ...]
    build: Callable[[], torch.nn.Module]
    version: str = "1.0"
    licence: str = "unknown"
    takes: int | None = None
    """Channels that the network takes, if it has been given another recipe."""
    trusted: bool = False
    """Whether it is code that runs because the user trusts it."""

    def lends(self, recipe: Recipe) -> bool:
        """Whether the recipe's network is another and borrows all weights of this model's."""
        own = self.recipe
        return recipe.network != own.network and recipe.network.borrows(own.network) and recipe.loss.means(own.loss)

    def with_recipe(self, recipe: Recipe, heads_from: str = "the model") -> ModelPackage:
        """The same network with another recipe around it, or its weights in a network that borrows them.

        Raises `UsageError` if the network would differ otherwise.
        """
        own = self.recipe
        same = (recipe.network, recipe.heads) == (own.network, own.heads) and recipe.loss.means(own.loss)
        if not same and not self.lends(recipe):
            raise UsageError(
                f"network and heads are fixed by {heads_from}",
                self.name,
                "change only input, normalise, postprocess and tiling, or train anew",
            )
        chosen = recipe.input.channels
        takes = self.takes or (None if own.input.channels == "all" else channels(own))
        if chosen != "all" and channels(recipe) != (takes or channels(recipe)):
            raise UsageError(
                f"the model takes {takes} channel{'s'[: takes != 1]}", f"input.channels={chosen}", "name as many"
            )
        if same:
            return replace(self, recipe=recipe, takes=takes)
        return replace(self, recipe=recipe, takes=takes, heads=recipe.heads, build=partial(_lend, self.build, recipe))


def _lend(weights: Callable[[], torch.nn.Module], recipe: Recipe) -> torch.nn.Module:
    """The recipe's network with the weights of another."""
    module = network(recipe)
    module.load_state_dict(weights().state_dict(), strict=True)
    return module.eval()


def load(reference: str, catalogue: Catalogue, owner: str | None = None) -> ModelPackage:
    """The model that `reference` names: the folder of a training run, a recipe file with weights beside it, a
    bioimage.io package (zip or folder), an installed model, or the name of a model that a plugin ships.

    Raises `ModelError` if it is damaged or its plugin is absent, `NotTrusted` if it is code that nobody reviewed or
    trusts, `UsageError` if there is no such model.
    """
    from toolkit.registry import resolve

    path = Path(reference)
    if is_run(path):
        return from_run(path, catalogue, owner, reference)
    if path.suffix in (".yaml", ".yml") and path.is_file():
        return _from_files(path, path.with_suffix(".safetensors"), catalogue, owner, reference)
    if resolve.is_path(reference):
        return resolve.at(path, catalogue)
    installed = resolve.installed(reference, catalogue, owner)
    if installed is not None:
        return installed
    try:
        plugin, recipe = catalogue.locate("recipes", reference, owner)
    except UsageError as error:
        raise resolve.unknown(reference, catalogue, error) from error
    weights = recipe.with_suffix(".safetensors")
    if not weights.is_file():
        shipped = [n for n, p in catalogue.collect("recipes").items() if p.with_suffix(".safetensors").is_file()]
        raise UsageError(
            "this method ships no trained model",
            reference,
            f"train one: seg train --plugin {plugin} --data DIR -o RUN, or {nearest(reference, shipped)}",
        )
    return _from_files(recipe, weights, catalogue, plugin, f"{plugin}:{recipe.stem}")


def is_run(folder: Path) -> bool:
    """Whether this is the folder of a training run. A description beside a recipe makes it a package: what is tested,
    installed and run is then that."""
    return (folder / RECIPE).is_file() and not any((folder / name).is_file() for name in NAMES)


def from_run(folder: Path, catalogue: Catalogue, owner: str | None, reference: str) -> ModelPackage:
    """The model that a training run left in its folder; somebody else's folder, perhaps: its YAML is read with care."""
    if (folder / RECIPE).is_file():
        yaml.parse((folder / RECIPE).read_bytes(), folder / RECIPE)
    return _from_files(folder / RECIPE, folder / WEIGHTS, catalogue, owner, reference)


def _from_files(
    recipe_file: Path, weights: Path, catalogue: Catalogue, owner: str | None, reference: str
) -> ModelPackage:
    if not weights.is_file():
        raise ModelError("the weights are missing", weights, "was the training stopped before its first validation?")
    return from_files(recipe_file, weights, Recipe.load(recipe_file, catalogue, owner), owner, reference)


def from_files(
    recipe_file: Path, weights: Path, recipe: Recipe, owner: str | None = None, reference: str = ""
) -> ModelPackage:
    """The model with this recipe, read from `recipe_file`, and these weights."""
    card = recipe_file.with_suffix(".md")
    return ModelPackage(
        name=recipe.name,
        recipe=recipe,
        owner=owner,
        sha256=file_digest(weights),
        source=recipe_file,
        reference=reference,
        heads=recipe.heads,
        build=lambda: build(recipe, weights),
        licence=_licence(card),
    )


def _licence(card: Path) -> str:
    """The line `licence: …` of a model card."""
    lines = card.read_text(encoding="utf8").splitlines() if card.is_file() else []
    return next((line.partition(":")[2].strip() for line in lines if line.lower().startswith("licence:")), "unknown")


def channels(recipe: Recipe) -> int:
    """How many channels the network sees."""
    chosen = recipe.input.channels
    if chosen == "all":
        raise UsageError("the number of channels is unknown", "input.channels=all", "list them: input.channels=[0,1]")
    return 1 if isinstance(chosen, str) else len(chosen)


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


def network(recipe: Recipe) -> torch.nn.Module:
    """The recipe's network with fresh weights."""
    return recipe.network.build(channels(recipe), recipe.heads, recipe.ndim)


def save(module: torch.nn.Module, path: Path, half: bool = False) -> None:
    """Write the weights as safetensors, atomically; `half` stores floating tensors in 16 bits."""
    from safetensors.torch import save_file

    state: dict[str, Any] = {
        name: (tensor.half() if half and tensor.is_floating_point() else tensor).contiguous()
        for name, tensor in module.state_dict().items()
    }
    partial = path.with_name(path.name + ".partial")
    save_file(state, partial)
    partial.replace(path)


def file_digest(path: Path) -> str:
    """sha256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def stored_names(catalogue: Catalogue) -> Sequence[str]:
    """Names of all models that plugins ship."""
    recipes = catalogue.collect("recipes")
    return sorted(name for name, path in recipes.items() if path.with_suffix(".safetensors").is_file())
