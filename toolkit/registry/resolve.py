"""The model that a path or a name means; and what to say where there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path

from toolkit.errors import UsageError, nearest
from toolkit.plugins.catalogue import Catalogue
from toolkit.registry import zoo
from toolkit.registry.bioimageio.formats import NAMES
from toolkit.registry.bioimageio.read import Opened
from toolkit.registry.package import ModelPackage, from_run, is_run, stored_names, unlearnt, with_weights
from toolkit.registry.store import Entry, Store


def load(reference: str, catalogue: Catalogue, owner: str | None = None) -> ModelPackage:
    """The model that `reference` names: the folder of a training run, a recipe file with its weights beside it, a
    bioimage.io package (zip or folder), an installed model, or the name of a model that a plugin ships.
    `plugin:name` asks that plugin alone, not the registry.

    Raises `ModelError` if it is damaged or its plugin is absent, `NotTrusted` if it is code that nobody reviewed or
    trusts, `UsageError` if there is no such model.
    """
    path = Path(reference)
    if is_run(path):
        return from_run(path, catalogue, owner, reference)
    if path.suffix in (".yaml", ".yml") and path.is_file():
        return with_weights(path, path.with_suffix(".safetensors"), catalogue, owner, reference)
    if is_path(reference):
        return at(path, catalogue)
    found = None if ":" in reference else installed(reference, catalogue, owner)
    return found or shipped(reference, catalogue, owner)


def shipped(reference: str, catalogue: Catalogue, owner: str | None = None) -> ModelPackage:
    """The model of this name that a plugin ships; raises `UsageError` if there is none."""
    try:
        plugin, recipe = catalogue.locate("recipes", reference, owner)
    except UsageError as error:
        raise unknown(reference, catalogue, error) from error
    weights = recipe.with_suffix(".safetensors")
    if not weights.is_file() and not unlearnt(recipe, catalogue, plugin):
        shipped = [n for n, p in catalogue.collect("recipes").items() if p.with_suffix(".safetensors").is_file()]
        raise UsageError(
            "this method ships no trained model",
            reference,
            f"train one: seg train --plugin {plugin} --data DIR -o RUN, or {nearest(reference, shipped)}",
        )
    return with_weights(recipe, weights, catalogue, plugin, f"{plugin}:{recipe.stem}")


def is_path(reference: str) -> bool:
    """Whether `reference` means a package on disk: a bare name does only if there is one in this folder."""
    path = Path(reference)
    return len(path.parts) > 1 or path.suffix == ".zip" or any((path / name).is_file() for name in NAMES)


def at(path: Path, catalogue: Catalogue) -> ModelPackage:
    """The model in a package that lies anywhere: a zip or a folder."""
    return Opened.at(path).load(catalogue, str(path.absolute()), Store().trusts)


def installed(reference: str, catalogue: Catalogue, owner: str | None = None) -> ModelPackage | None:
    """The installed model of this name, every file of which was checked; None if there is none."""
    store = Store()
    entry = store.find(reference)
    return None if entry is None else of_entry(store, entry, catalogue, owner)


def of_entry(store: Store, entry: Entry, catalogue: Catalogue, owner: str | None = None) -> ModelPackage:
    """An installed model, as it was when it was installed."""
    folder = store.folder(entry)
    if is_run(folder):
        found = from_run(folder, catalogue, owner, entry.reference)
        return replace(found, name=entry.name, version=entry.version)
    return Opened.at(folder).load(catalogue, entry.reference, store.trusts)


def unknown(reference: str, catalogue: Catalogue, error: UsageError) -> UsageError:
    """What to say where no plugin has the model either: the nearest name, and the command that would add it.

    `error` is what the plugins say; it stands where they know the name but cannot tell which, or are broken.
    """
    if (
        ":" in reference
        or catalogue.broken()
        or reference in {n.partition(":")[2] for n in catalogue.collect("recipes")}
    ):
        return error
    listed = zoo.find(reference)
    if listed is not None:
        return UsageError("this model is not installed", f"{reference} ({listed.name})", f"seg models add {reference}")
    names, collection = known(catalogue), [m.id for m in zoo.models()]
    close = get_close_matches(reference.lower(), [*names, *collection], n=1, cutoff=0.5)
    if not close:
        return UsageError("no such model, file or folder", reference, "see seg models list and seg models search")
    how = f"did you mean {close[0]!r}?" + ("" if close[0] in names else f" seg models add {close[0]}")
    return UsageError("no such model, file or folder", reference, how)


def known(catalogue: Catalogue) -> Sequence[str]:
    """Names of all models that can be run without adding anything."""
    return sorted({*(e.name for e in Store().entries()), *stored_names(catalogue)})
