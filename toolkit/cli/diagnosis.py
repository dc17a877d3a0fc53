"""A diagnosis of a data set on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolkit.cli import console

if TYPE_CHECKING:
    from toolkit.check import Diagnosis
    from toolkit.check.finding import Finding

SIGNS = {"error": "[red]error  [/red]", "warning": "[yellow]warning[/yellow]", "note": "[cyan]note   [/cyan]"}


def show(found: Diagnosis, most: int) -> None:
    """Findings, sizes and advice on the terminal."""
    out = console.results()
    for one in found.findings:
        out.print(f"{SIGNS[one.severity]} ", end="", markup=True)
        out.print(f"{one.what}{'; ' + one.do if one.do else ''}")
        _examples(one, most)
    if not found.findings:
        out.print("nothing to remark")
    if found.sizes:
        table = console.table("split")
        micron = any(row.diameter_um is not None for row in found.sizes)
        names = ["images", "objects", "per image", "min", "median", "max", "diameter", *["µm"] * micron, "touching"]
        for name in names:
            table.add_column(name, justify="right", overflow="fold")
        for row in found.sizes:
            size = ["" if row.diameter_um is None else f"{row.diameter_um:g}"] * micron
            numbers = (row.images, row.objects, row.per_image, row.smallest, row.median, row.largest, row.diameter)
            table.add_row(row.split, *(f"{n:.10g}" for n in numbers), *size, f"{100 * row.touching:.0f} %")
        out.print()
        out.print(table)
    if found.advice:
        best = found.advice[0]
        out.print()
        for advice in found.advice:
            about = f" ({advice.title})" if advice.title else ""
            lead = "begin with" if advice is best else "or"
            out.print(f"{lead} {advice.name}{about}: {advice.reason}", markup=False, soft_wrap=True)
        out.print(
            f"seg train {best.option} --data {found.inventory.root} -o run --deduce", markup=False, soft_wrap=True
        )


def _examples(one: Finding, most: int) -> None:
    out = console.results()
    for place in one.where[:most]:
        out.print(f"          {place}")
    if 0 < most < len(one.where):
        out.print(f"          … and {len(one.where) - most} more (--show {len(one.where)})")
