"""`seg models search`."""

from __future__ import annotations

from typing import Annotated

import typer

from toolkit.cli import console


def search(
    words: Annotated[list[str], typer.Argument(help="Words that must occur in a model's facts.")],
    as_json: console.Json = False,
) -> None:
    """Search the models of the bioimage.io collection, offline.

    Only models in a format that can run here are shown; add one of them with `seg models add`.

    Example: seg models search nuclei 3d
    """
    from dataclasses import asdict

    from toolkit.registry import zoo

    found = [model for model in zoo.search(words) if model.runs]
    if as_json:
        console.document([asdict(model) for model in found])
        return
    table = console.table("model", "what", "licence", "weights")
    for model in found:
        table.add_row(model.id, model.name, model.licence, ", ".join(model.weights))
    if found:
        console.results().print(table)
        console.progress().print(f"{len(found)} found; add one with: seg models add {found[0].id}")
    else:
        console.progress().print(f"no model has all of these words: {' '.join(words)}")
