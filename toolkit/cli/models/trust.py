"""`seg models trust`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from toolkit.cli import console

Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


def trust(
    name: Annotated[str, typer.Argument(help="An installed model or a package.")],
    yes: Yes = False,
    as_json: console.Json = False,
) -> None:
    """Let the code of a model run: shows its code files and their sha256, asks, and records your answer.

    Trust is for these very bytes: if one changes, you are asked again. The code runs in a process of its own, which on
    Linux reads only Python and what is installed in it, writes only to a scratch folder, opens no socket, starts no
    program and is stopped between answers; on other systems it is not sandboxed. What it can still do on this machine
    is said and recorded.

    Example: seg models trust affable-shark
    """
    from toolkit.errors import UsageError
    from toolkit.registry import resolve
    from toolkit.registry.bioimageio.read import Opened
    from toolkit.registry.bioimageio.weights import listing
    from toolkit.registry.gate.process import walls
    from toolkit.registry.store import Store

    store = Store()
    opened = Opened.at(Path(name) if resolve.is_path(name) else store.folder(store.get(name)))
    files = listing(opened.description, opened.files)
    if not files:
        raise UsageError("this model has no code to trust", name, "it runs as it is, or never")
    remarks = console.progress()
    for file, sha256, reviewed in files:
        remarks.print(f"{sha256}  {file}{'  (reviewed)' if reviewed else ''}")
    held = walls()
    remarks.print("it runs in a process of its own; what it can still do:")
    for one in held.open:
        remarks.print(f"  {one}")
    if not yes and not typer.confirm("Did you look at these files, and do you trust them?", err=True):
        raise typer.Abort
    about = {"files": {file: sha256 for file, sha256, _ in files}, "sandbox": held.plain()}
    store.trust(opened.files.digest, about)
    if as_json:
        console.document({"sha256": opened.files.digest, **about})
    else:
        console.results().print(f"trusted {name}  sha256 {opened.files.digest}")
