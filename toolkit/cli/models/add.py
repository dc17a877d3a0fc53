"""`seg models add`."""

from __future__ import annotations

from typing import Annotated

import typer

from toolkit.cli import console

Sha256 = Annotated[str | None, typer.Option("--sha256", help="What the download or the file must be.")]


def add(
    source: Annotated[
        str,
        typer.Argument(help="A zip, a folder, a training run, an address, or a model found by `seg models search`."),
    ],
    name: Annotated[str | None, typer.Option(help="Name to install it under (default: its own).")] = None,
    version: Annotated[str | None, typer.Option(help="Version to install it under (default: its own).")] = None,
    alias: Annotated[list[str] | None, typer.Option(help="One more name for this version, such as best.")] = None,
    note: Annotated[str, typer.Option(help="A remark to keep with it.")] = "",
    parent: Annotated[str, typer.Option(help="The model that it was trained from.")] = "",
    sha256: Sha256 = None,
    as_json: console.Json = False,
) -> None:
    """Install a model: copy it into the registry and give it a name. None of its code is executed.

    Example: seg models add nuclei.zip --name nuclei --alias best
    """
    from dataclasses import asdict

    from toolkit.cli.models.downloading import downloading
    from toolkit.registry.install import Wanted, install
    from toolkit.registry.store import Store

    wanted = Wanted(name, version, tuple(alias or ()), note, parent)
    with downloading() as tell:
        entry = install(source, wanted, Store(), sha256, tell)
    if as_json:
        console.document(asdict(entry))
    else:
        console.results().print(
            f"added {entry.reference}  licence {entry.licence}  sha256 {entry.sha256}", markup=False
        )
        console.progress().print(f"run it with: seg run IMAGE --model {entry.name}", markup=False)
