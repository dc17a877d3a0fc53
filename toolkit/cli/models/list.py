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

    from toolkit.registry.package import stored_names
    from toolkit.registry.store import Store

    entries, shipped = Store().entries(), stored_names(catalogue(context))
    if as_json:
        console.document({"installed": [asdict(e) for e in entries], "shipped": list(shipped)})
        return
    from rich.table import Table

    table = Table("model", "aliases", "licence", "scores", "notes", box=None, pad_edge=False)
    for entry in entries:
        scores = ", ".join(f"{metric} {value:.3f}" for metric, value in entry.scores.items())
        table.add_row(entry.reference, ", ".join(entry.aliases), entry.licence, scores, entry.notes)
    for name in shipped:
        table.add_row(name, "", "", "", f"comes with plugin {name.partition(':')[0]}")
    if table.row_count:
        console.results().print(table)
    else:
        console.progress().print("no models yet: seg models search WORDS, then seg models add NAME")
