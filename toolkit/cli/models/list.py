"""`seg models list`."""

from __future__ import annotations

import typer

from toolkit.cli import console
from toolkit.cli.catalogue import catalogue


def list_models(context: typer.Context, as_json: console.Json = False) -> None:
    """List the models that run without adding anything: installed ones, and those that plugins ship.

    Example: seg models list
    """
    from dataclasses import asdict

    from toolkit.plugins.card import Card
    from toolkit.registry.package import stored_names
    from toolkit.registry.store import Store

    plugins = catalogue(context)
    entries, shipped = Store().entries(), stored_names(plugins)
    if as_json:
        console.document({"installed": [asdict(e) for e in entries], "shipped": list(shipped)})
        return
    table = console.table("model", "aliases", "licence", "scores", "notes")
    for entry in entries:
        scores = ", ".join(f"{metric} {value:.3f}" for metric, value in entry.scores.items())
        table.add_row(entry.reference, ", ".join(entry.aliases), entry.licence, scores, entry.notes)
    recipes = plugins.collect("recipes")
    for name in shipped:
        card = Card.beside(recipes[name])
        scores = ", ".join(f"S@0.50 {trial.score:.3f}" for trial in card.measured[:1])
        table.add_row(name, "", card.licence, scores, f"comes with plugin {name.partition(':')[0]}")
    if table.row_count:
        console.results().print(table)
    else:
        console.progress().print("no models yet: seg models search WORDS, then seg models add NAME")
