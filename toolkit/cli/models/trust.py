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
    Linux can write nothing but a scratch folder and open no TCP connection; on other systems it is not sandboxed.

    Example: seg models trust affable-shark
    """
    from toolkit.errors import UsageError
    from toolkit.registry import resolve
    from toolkit.registry.bioimageio.read import Opened
    from toolkit.registry.bioimageio.weights import listing
    from toolkit.registry.gate import sandbox
    from toolkit.registry.store import Store

    store = Store()
    opened = Opened.at(Path(name) if resolve.is_path(name) else store.folder(store.get(name)))
    files = listing(opened.description, opened.files)
    if not files:
        raise UsageError("this model has no code to trust", name, "it runs as it is, or never")
    remarks = console.progress()
    for file, sha256, reviewed in files:
        remarks.print(f"{sha256}  {file}{'  (reviewed)' if reviewed else ''}", markup=False)
    remarks.print("sandboxed by Landlock" if sandbox.version() else "this system has no Landlock: not sandboxed")
    if not yes and not typer.confirm("Did you look at these files, and do you trust them?", err=True):
        raise typer.Abort
    store.trust(opened.files.digest, {file: sha256 for file, sha256, _ in files})
    if as_json:
        console.document({"sha256": opened.files.digest, "files": {file: sha256 for file, sha256, _ in files}})
    else:
        console.results().print(f"trusted {name}  sha256 {opened.files.digest}", markup=False)
