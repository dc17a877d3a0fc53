"""`seg check`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toolkit.cli import console
from toolkit.errors import InputError, UsageError

if TYPE_CHECKING:
    from toolkit.check import Diagnosis
    from toolkit.check.finding import Finding

SIGNS = {"error": "[red]error  [/red]", "warning": "[yellow]warning[/yellow]", "note": "[cyan]note   [/cyan]"}


def check(
    data: Annotated[str, typer.Argument(metavar="DATA", help="A data set, or one split of it: DIR:SPLIT.")],
    fix: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Write a repaired copy into this new folder.")
    ] = None,
    split_pieces: Annotated[
        bool, typer.Option("--split-pieces", help="With --fix: pieces of one id become objects of their own.")
    ] = False,
    most: Annotated[int, typer.Option("--show", min=0, metavar="N", help="Examples per finding.")] = 3,
    workers: Annotated[int, typer.Option(min=0, metavar="N", help="Processes; 0 is one per core.")] = 0,
    as_json: console.Json = False,
) -> None:
    """Find what is wrong with a data set, and which method fits it.

    Nothing in DATA is ever altered. The exit code is 0 with warnings, and 5 if something cannot be used.

    Example: seg check data/ --fix repaired/
    """
    from toolkit.check import diagnose
    from toolkit.check.inventory import inventory
    from toolkit.check.repair import repair, target
    from toolkit.cli.summary import counted
    from toolkit.workers import cores
    from toolkit.workers import workers as pool

    if split_pieces and fix is None:
        raise UsageError("nothing is altered without --fix", "--split-pieces", "add --fix FOLDER")
    stock = inventory(data)
    if fix is not None:
        target(fix, stock.root)
    number = min(workers or cores(), max(1, len(stock.entries) // 8))
    with pool(number) as run, counted(run, len(stock.entries)) as seen:
        found = diagnose(stock, seen)
    done = repair(found, fix, split_pieces) if fix is not None else None
    if as_json:
        console.document(found.to_json() | ({} if done is None else {"fixed": done}))
    else:
        _show(found, most)
        if done is not None:
            console.results().print(
                f"wrote  {fix}: {done['images']} images; {'; '.join(done['changes'])}", markup=False
            )
    if found.errors and fix is None:
        codes = ", ".join(dict.fromkeys(f.code for f in found.errors))
        raise InputError("this data set cannot be used as it is", f"{stock.root} ({codes})", "see above, or use --fix")


def _show(found: Diagnosis, most: int) -> None:
    """Findings, sizes and advice on the terminal."""
    from rich.table import Table

    out = console.results()
    for one in found.findings:
        out.print(f"{SIGNS[one.severity]} ", end="")
        out.print(f"{one.what}{'; ' + one.do if one.do else ''}", markup=False)
        _examples(one, most)
    if not found.findings:
        out.print("nothing to remark")
    if found.sizes:
        table = Table("split", box=None, pad_edge=False)
        for name in ("images", "objects", "per image", "smallest", "median", "largest", "diameter", "touching"):
            table.add_column(name, justify="right", no_wrap=True)
        for row in found.sizes:
            micron = "" if row.diameter_um is None else f" ({row.diameter_um:g} µm)"
            numbers = (row.images, row.objects, f"{row.per_image:g}", row.smallest, f"{row.median:g}", row.largest)
            table.add_row(row.split, *map(str, numbers), f"{row.diameter:g}{micron}", f"{100 * row.touching:.0f} %")
        out.print()
        out.print(table)
    if found.advice is not None:
        advice = found.advice
        others = f"; {' or '.join(advice.others)} may do too" if advice.others else ""
        out.print()
        out.print(f"begin with {advice.plugin}: {advice.reason}{others}", markup=False)
        changes = " ".join(f"--set '{change}'" if "[" in change else f"--set {change}" for change in advice.changes)
        out.print(f"seg train --plugin {advice.plugin} --data {found.inventory.root} -o run {changes}", markup=False)


def _examples(one: Finding, most: int) -> None:
    out = console.results()
    for place in one.where[:most]:
        out.print(f"          {place}", markup=False)
    if 0 < most < len(one.where):
        out.print(f"          … and {len(one.where) - most} more (--show {len(one.where)})", markup=False)
