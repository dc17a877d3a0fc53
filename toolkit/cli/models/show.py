"""`seg models show`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toolkit.cli import console
from toolkit.cli.catalogue import catalogue
from toolkit.errors import ModelError, UsageError

if TYPE_CHECKING:
    from toolkit.plugins.catalogue import Catalogue
    from toolkit.registry.bioimageio.read import Opened
    from toolkit.registry.store import Entry


def show(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="A model: installed, of a plugin, of the collection, or a package.")],
    as_json: console.Json = False,
) -> None:
    """Show what is known of a model, without running any of it.

    Example: seg models show nuclei@best
    """
    from toolkit.registry import resolve, zoo
    from toolkit.registry.store import Store

    store = Store()
    if resolve.is_path(name):
        about = _package(Path(name))
    elif store.find(name) is None and (listed := zoo.find(name)) is not None:
        about = {**asdict(listed), "installed": False}
    elif entry := store.find(name):
        about = {**_entry(entry), **_package(store.folder(entry))}
    else:
        about = _shipped(name, catalogue(context))
    if as_json:
        console.document(about)
    else:
        for key, value in about.items():
            console.results().print(f"{key:<10} {_text(value)}")


def _shipped(name: str, plugins: Catalogue) -> dict[str, Any]:
    """A model that comes with a plugin, and its card."""
    from toolkit.plugins.card import Card
    from toolkit.plugins.recipe import Recipe
    from toolkit.registry import resolve
    from toolkit.registry.package import file_digest

    try:
        owner, path = plugins.locate("recipes", name)
    except UsageError as error:
        raise resolve.unknown(name, plugins, error) from error
    weights = path.with_suffix(".safetensors")
    if not weights.is_file():
        raise UsageError("this method ships no trained model", name, "see seg models list")
    card, recipe = Card.beside(path), Recipe.load(path, plugins, owner)
    return {
        "model": f"{owner}:{path.stem}",
        "title": card.title,
        "licence": card.licence,
        "plugin": owner,
        "method": f"{recipe.network.kind} -> {recipe.postprocess.kind}, {recipe.ndim}-D",
        "scores": [f"S@0.50 {trial.score:.3f} on {trial.on}" for trial in card.measured],
        "sha256": file_digest(weights),
        "files": [str(p) for p in (path, weights, path.with_suffix(".md")) if p.is_file()],
    }


def _entry(entry: Entry) -> dict[str, Any]:
    return {key: value for key, value in asdict(entry).items() if value}


def _package(path: Path) -> dict[str, Any]:
    """What a package says of itself."""
    from toolkit.registry.bioimageio.read import Opened
    from toolkit.registry.package import is_run, trained

    if is_run(path):
        needs = _needs(trained(path).get("distributions"), {})
        return {"files": sorted(p.name for p in path.iterdir()), **({"needs": needs} if needs else {})}
    opened = Opened.at(path)
    described = opened.description
    own = described.toolkit or {}
    more = {
        "authors": _each(described.plain.get("authors"), "name"),
        "cite": _each(described.plain.get("cite"), "doi", "url", "text"),
        "needs": _needs(own.get("distributions"), own.get("plugins")),
        "notes": _notes(opened),
    }
    return {
        "title": described.name,
        "about": described.about,
        "licence": described.licence,
        "format": f"bioimage.io {described.format}",
        "sha256": opened.files.digest,
        "weights": _weights(opened),
        "inputs": [f"{t.id}: {', '.join(t.ids)}" for t in described.inputs],
        "outputs": [f"{t.id}: {', '.join(t.ids)}" for t in described.outputs],
        **{key: value for key, value in more.items() if value},
    }


def _each(listed: object, *keys: str) -> list[str]:
    """Of each of the things that a description lists, what is under the first of `keys` that it has."""
    things = [thing for thing in listed if isinstance(thing, dict)] if isinstance(listed, list) else []
    return [str(next(thing[key] for key in keys if thing.get(key))) for thing in things if any(map(thing.get, keys))]


def _needs(distributions: object, versions: object) -> list[str]:
    """The packages without which a model does not run, each with the version that it was made with."""
    from toolkit.registry.needs import distribution

    known, made = (of if isinstance(of, dict) else {} for of in (distributions, versions))
    named = {name: distribution(known, name) for name in known}
    return [f"{package} {made.get(name, '')}".strip() for name, package in named.items() if package]


def _weights(opened: Opened) -> list[str]:
    """Each weights entry and what it would take to run it."""
    from toolkit.registry.bioimageio.weights import tier

    found = []
    for weights in opened.description.weights.values():
        kind, why = tier(weights, opened.files)
        found.append(f"{weights.kind}: {kind or f'never runs ({why})'}")
    return found


def _notes(opened: Opened) -> list[str]:
    """What to know of how it would be run, if it could be."""
    try:
        return [] if opened.description.toolkit is not None else list(opened.adapter.notes)
    except ModelError as error:
        return [str(error)]


def _text(value: object) -> str:
    return "; ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
