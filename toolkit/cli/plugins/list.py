"""`seg plugins list`."""

from __future__ import annotations

import typer

from toolkit.cli import console
from toolkit.cli.catalogue import catalogue


def list_plugins(context: typer.Context, as_json: console.Json = False) -> None:
    """List the installed plugins without importing them.

    Example: seg plugins list
    """
    plugins = catalogue(context).plugins
    if as_json:
        console.document([{"name": p.name, "distribution": p.distribution, "version": p.version} for p in plugins])
        return
    table = console.table("plugin", "distribution", "version")
    for plugin in plugins:
        table.add_row(plugin.name, plugin.distribution, plugin.version)
    console.results().print(table)
