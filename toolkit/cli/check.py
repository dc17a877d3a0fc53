"""`seg check`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from toolkit.cli import console
from toolkit.cli.catalogue import catalogue
from toolkit.errors import InputError, UsageError


def thin(data: str, text: str, folder: Path, as_json: bool) -> None:
    """The sparse copy."""
    from toolkit.check.sparse import Sparse
    from toolkit.check.sparsify import sparsify

    done = sparsify(data, Sparse.parse(text), folder)
    if as_json:
        console.document(done)
        return
    some = f"{done['annotated']} of {done['objects']} objects annotated ({done['voxels']} voxels)"
    console.results().print(f"wrote  {folder}: {done['images']} images of {done['split']}, {some}", markup=False)


def check(
    context: typer.Context,
    data: Annotated[str, typer.Argument(metavar="DATA", help="A data set, or one split of it: DIR:SPLIT.")],
    fix: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Write a repaired copy into this new folder.")
    ] = None,
    split_pieces: Annotated[
        bool, typer.Option("--split-pieces", help="With --fix: large pieces of one id become objects of their own.")
    ] = False,
    sparsify: Annotated[
        str | None,
        typer.Option(
            metavar="HOW", help="Write a copy with few objects annotated: fraction=.1,order=random|small|large,seed=0."
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FOLDER", help="With --sparsify: the new folder.")
    ] = None,
    most: Annotated[int, typer.Option("--show", min=0, metavar="N", help="Examples per finding.")] = 3,
    workers: Annotated[int, typer.Option(min=0, metavar="N", help="Processes; 0 is one per core.")] = 0,
    as_json: console.Json = False,
) -> None:
    """Find what is wrong with a data set, and which method fits it.

    The installed methods are asked how well they suit. Nothing in DATA is ever altered. The exit code is 0 with
    warnings, and 5 if something cannot be used. --sparsify looks for nothing: in the copy, whole objects of the split
    train stay annotated, and the rest of its images becomes unannotated.

    Example: seg check data/ --fix repaired/
    """
    from toolkit.check import diagnose
    from toolkit.check.inventory import inventory
    from toolkit.check.repair import repair, target
    from toolkit.cli.diagnosis import show
    from toolkit.cli.summary import counted
    from toolkit.gpu.cores import cores
    from toolkit.pipeline.workers import workers as pool

    if (sparsify is None) != (output is None):
        raise UsageError("a sparse copy needs a folder, and a folder a sparse copy", "--sparsify, -o", "name both")
    if sparsify is not None and output is not None:
        if fix is not None:
            raise UsageError("one copy at a time", "--fix, --sparsify", "repair first, then make the repaired sparse")
        thin(data, sparsify, output, as_json)
        return
    if split_pieces and fix is None:
        raise UsageError("nothing is altered without --fix", "--split-pieces", "add --fix FOLDER")
    stock = inventory(data)
    if fix is not None:
        target(fix, stock.root)
    number = min(workers or cores(), max(1, len(stock.entries) // 8))
    with pool(number) as run, counted(run, len(stock.entries)) as seen:
        found = diagnose(stock, catalogue(context), seen)
    done = repair(found, fix, split_pieces) if fix is not None else None
    if as_json:
        console.document(found.to_json() | ({} if done is None else {"fixed": done}))
    else:
        show(found, most)
        if done is not None:
            console.results().print(
                f"wrote  {fix}: {done['images']} images; {'; '.join(done['changes'])}", markup=False
            )
    if found.errors and fix is None:
        codes = ", ".join(dict.fromkeys(f.code for f in found.errors))
        raise InputError("this data set cannot be used as it is", f"{stock.root} ({codes})", "see above, or use --fix")
