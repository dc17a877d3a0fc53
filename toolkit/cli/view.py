"""`seg view`."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toolkit.cli import console
from toolkit.errors import UsageError
from toolkit.files import whole

if TYPE_CHECKING:
    from toolkit.view.scene import Scene


def view(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder of a run, or a .zarr in it.")],
    image: Annotated[
        str | None, typer.Option(metavar="NAME", help="Which image of the run. [default: the first]")
    ] = None,
    beside: Annotated[
        Path | None, typer.Option("--with", metavar="OTHER", help="Another run, or a label file, beside it.")
    ] = None,
    truth: Annotated[
        str | None,
        typer.Option(metavar="DATA", help="True objects beside it: label file, folder, DIR:SPLIT."),
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 0,
    page: Annotated[
        Path | None, typer.Option("-o", "--out", metavar="PAGE.html", help="Write one page that needs nothing else.")
    ] = None,
) -> None:
    """Look at a result in the browser: image, objects, table, what the method thought.

    Without -o, a page of this machine alone is served until Ctrl-C, for images of any size; with it, one file is
    written that can be sent. Nothing is altered, and nothing is loaded from the network.

    Example: seg view nuclei.seg --truth data:test
    """
    if beside is not None and truth is not None:
        raise UsageError("two sets of objects are shown at most", "--with and --truth", "leave one of them out")
    if page is not None:
        from toolkit.view.page import MADE

        whole.ours(page, MADE)
    from toolkit.view.found import chosen, other, results
    from toolkit.view.found import truth as true_objects
    from toolkit.view.scene import scene

    with console.progress().status("reading"):
        result = chosen(results(out), image)
        more = [other(beside, result.name)] if beside is not None else []
        more += [true_objects(truth, result)] if truth is not None else []
        shown = scene(result, more)
    if page is None:
        _serve(shown, port)
    else:
        from toolkit.view.embedded import whole as self_contained

        page.parent.mkdir(parents=True, exist_ok=True)
        whole.text(page, self_contained(shown))
        console.results().print(f"wrote  {page}")


def _serve(shown: Scene, port: int) -> None:
    from toolkit.view.serve import served

    with suppress(KeyboardInterrupt), served(shown, port) as (server, address):  # which is how it ends
        console.results().print(f"open   {address}  (Ctrl-C ends)", soft_wrap=True)
        server.serve_forever()
