"""`seg correct`."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from toolkit.cli import console
from toolkit.errors import InputError, UsageError

if TYPE_CHECKING:
    from toolkit.correct.correct import Merged
    from toolkit.correct.edited import Pieces


def correct(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A result; edits lie in OUT.corrections.")],
    names: Annotated[
        list[str] | None, typer.Argument(metavar="IMAGE", help="These images alone. [default: all with edits]")
    ] = None,
    right: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WHAT",
            help="What is right: IMAGE, objects IMAGE:3,7 (ids of the edited file, else of the table), a box "
            "IMAGE:0:512,100:300; may be repeated.",
        ),
    ] = None,
    whole: Annotated[
        bool, typer.Option("--whole", help="All that edited files show and do not show is right.")
    ] = False,
    pieces: Annotated[
        str, typer.Option(metavar="HOW", help="Drawn objects in several pieces: refuse, keep or split.")
    ] = "refuse",
    by: Annotated[str, typer.Option(metavar="NAME", help="Who corrected; stands in the history.")] = "",
    undo: Annotated[bool, typer.Option("--undo", help="Take the last merge back.")] = False,
    napari: Annotated[bool, typer.Option("--napari", help="Open the first IMAGE in napari to correct it.")] = False,
    as_json: console.Json = False,
) -> None:
    """Merge what a person corrected in a result, to learn from it.

    Save label images, edited in any program, in OUT.corrections under the names of their images. What was drawn,
    changed or removed is known by that, and what is marked as right; the rest is unannotated. OUT and the edited files
    stay as they are. `seg train --corrections OUT` learns from it.

    Example: seg correct nuclei.seg --whole --by Ada
    """
    from toolkit.correct.correct import correct as merged
    from toolkit.correct.history import History
    from toolkit.correct.result import opened

    if pieces not in ("refuse", "keep", "split"):
        raise UsageError("no such way", f"--pieces {pieces}", "choose refuse, keep or split")
    result = opened(out)
    if (undo and (names or napari)) or ((undo or napari) and (right or whole)):
        raise UsageError("one thing at a time", "--undo" if undo else "--napari", "leave out the others")
    if napari:
        from toolkit.napari.viewer import needed, show

        needed()
        show(result, result.image(names[0]) if names else result.images[0])
        return
    if undo:
        rows = History(result.corrections).undo(by)
        if as_json:
            console.document({"undone": rows[0]["merge"], "images": [row["image"] for row in rows]})
            return
        images = ", ".join(row["image"] for row in rows)
        console.results().print(f"undone merge {rows[0]['merge']}: {images}; the edited files are as they were")
        return
    done = merged(
        result,
        names=names or (),
        right=right or (),
        every=whole,
        pieces=cast("Pieces", pieces),
        by=by,
    )
    if as_json:
        console.document({"merge": done.number, "images": [_plain(one) for one in done.images]})
    else:
        for one in done.images:
            if one.error is None:
                console.results().print(_said(one))
        if done.number is not None:
            console.results().print(f"wrote  {result.corrections}{os.sep}history: merge {done.number}")
    for one in done.failed:
        console.progress().print(f"failed {one.error}", soft_wrap=True)
    if done.failed:
        if len(done.images) == 1 and done.failed[0].error is not None:
            raise done.failed[0].error
        raise InputError(f"{len(done.failed)} of {len(done.images)} images could not be merged",
                         ", ".join(one.image for one in done.failed[:5]), "the others are done")  # fmt: skip


def _said(one: Merged) -> str:
    if one.changes is None:
        return f"same   {one.image}: {one.note}"
    found = one.changes
    counts = f"{found.added} added, {found.removed} removed, {found.changed} changed, {found.same} as they were"
    counts += f", {found.unannotated} unannotated" if found.unannotated else ""
    what = "all of it" if found.whole else f"{found.right} objects"
    return f"merged {one.image}: {counts}; right: {what}" + (f" ({one.note})" if one.note else "")


def _plain(one: Merged) -> dict[str, Any]:
    found: dict[str, Any] = {"image": one.image} | (asdict(one.changes) if one.changes else {})
    return found | {k: v for k, v in (("note", one.note), ("error", str(one.error or ""))) if v}
