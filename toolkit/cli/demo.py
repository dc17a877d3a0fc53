"""`seg demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from toolkit.cli import console
from toolkit.cli.catalogue import catalogue


def demo(
    context: typer.Context,
    plugin: Annotated[str | None, typer.Option(help="Show this method. [default: the one that suits best]")] = None,
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder of the results.")] = Path("demo.seg"),
    as_json: console.Json = False,
) -> None:
    """Run a shipped model on a real image of stained tissue.

    It is the model that suits tissue best; with --plugin, one of this method, on the image that it is shown on. Of the
    tissue, networks see the haematoxylin stain, which marks the nuclei.

    Example: seg demo
    """
    from toolkit.cli.runner import execute
    from toolkit.cli.wish import Wish
    from toolkit.demo.choice import shown

    plugins = catalogue(context)
    one = shown(plugins, plugin, out.with_suffix(".tif"))
    wish = Wish((str(one.image),), model=one.model, out=out, changes=one.changes, overwrite=True)
    execute(wish, plugins, as_json)
    if not as_json:
        console.results().print(f"look   {(out / f'{one.image.stem}.overlay.png').resolve()}", markup=False)
