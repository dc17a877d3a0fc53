"""`seg suggest`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from toolkit.cli import console
from toolkit.cli.catalogue import catalogue


def suggest(
    context: typer.Context,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A result.")],
    model: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Compare with this model, not with turned images; may be repeated."),
    ] = None,
    turns: Annotated[int, typer.Option(min=1, max=7, help="Ways to turn each image.")] = 3,
    most: Annotated[int, typer.Option("--show", "-n", min=1, metavar="N", help="Images to name.")] = 10,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda:N.")] = "auto",
    as_json: console.Json = False,
) -> None:
    """Say which images of a result to correct next, and which regions of them.

    Those over which the model disagrees with itself when the image is turned, or with other models; images that look
    unlike each other first. What was corrected is left out.

    Example: seg suggest nuclei.seg -n 5
    """
    from toolkit.cli.summary import counted
    from toolkit.correct.result import opened
    from toolkit.correct.suggest import suggest as suggested
    from toolkit.pipeline.workers import serial

    result = opened(out)
    with counted(serial, len(result.images)) as run:
        found = suggested(
            result, catalogue(context), models=model or (), turns=turns, device=device, run=run
        )[:most]  # fmt: skip
    if as_json:
        console.document({"images": [one.plain() for one in found]})
        return
    table = console.table("image", "doubt", "objects", "most of it in")
    for one in found:
        table.add_row(one.image, f"{one.doubt:.3f}", str(one.objects), "  ".join(r.box for r in one.regions))
    console.results().print(table)
    console.progress().print(f"save edited labels in {result.corrections}, then: seg correct {out}", soft_wrap=True)
