"""`seg models show`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toolkit.cli import console
from toolkit.errors import ModelError

if TYPE_CHECKING:
    from toolkit.registry.bioimageio.read import Opened
    from toolkit.registry.store import Entry


def show(
    name: Annotated[str, typer.Argument(help="An installed model, a model of the collection, or a package.")],
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
    else:
        entry = store.get(name)
        about = {**_entry(entry), **_package(store.folder(entry))}
    if as_json:
        console.document(about)
    else:
        for key, value in about.items():
            console.results().print(f"{key:<10} {_text(value)}")


def _entry(entry: Entry) -> dict[str, Any]:
    return {key: value for key, value in asdict(entry).items() if value}


def _package(path: Path) -> dict[str, Any]:
    """What a package says of itself."""
    from toolkit.registry.bioimageio.read import Opened
    from toolkit.registry.package import is_run

    if is_run(path):
        return {"files": sorted(p.name for p in path.iterdir())}
    opened = Opened.at(path)
    described = opened.description
    notes = _notes(opened)
    return {
        "title": described.name,
        "about": described.about,
        "licence": described.licence,
        "format": f"bioimage.io {described.format}",
        "sha256": opened.files.digest,
        "weights": _weights(opened),
        "inputs": [f"{t.id}: {', '.join(t.ids)}" for t in described.inputs],
        "outputs": [f"{t.id}: {', '.join(t.ids)}" for t in described.outputs],
        **({"notes": notes} if notes else {}),
    }


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
