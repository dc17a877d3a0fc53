"""`seg plugins new`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from toolkit.cli import console
from toolkit.cli.catalogue import catalogue
from toolkit.errors import UsageError

KINDS = "method, network, loss, postprocessor, metric or classic (no network)"


def new(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="What the plugin will be called; a Python identifier.")],
    kind: Annotated[str, typer.Option(help=f"What it brings: {KINDS}.")] = "method",
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FOLDER", help="Where its folder is made.")] = Path(),
    as_json: console.Json = False,
) -> None:
    """Write a new plugin that works, to be changed from there.

    The folder NAME holds a distribution with module, recipe, model card, tests, licence, README and a file for CI.

    Example: seg plugins new mymethod --kind classic
    """
    from toolkit.testing.scaffold import write

    if Path(name).name != name:
        raise UsageError("a plugin has a name, not a path", name,
                         f"say where with -o: seg plugins new {Path(name).name} -o {(out / name).parent}")  # fmt: skip
    files = write(out / name, kind, catalogue(context))  # type: ignore[arg-type]  # it is looked at there
    if as_json:
        console.document({"folder": str(out / name), "files": [str(file) for file in files]})
        return
    for file in files:
        console.results().print(str(file), markup=False)
    console.progress().print(f"next   pip install -e {out / name} && seg plugins check {name}", markup=False)
