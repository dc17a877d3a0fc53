"""The table of sparse annotation, in Markdown, from the records of its cells."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from page import with_table

VALUES = ("S@0.50", "S@0.70", "VOI", "ARAND")
BEGIN, END = "<!-- sparse cells -->\n", "<!-- /sparse cells -->\n"


def write(page: Path, tables: Mapping[int, Sequence[str]], records: Path) -> None:
    """Replace what is between the markers by the cells of each budget; those without a record are named."""
    told = "\n".join(_table(budget, cells, records) for budget, cells in tables.items())
    page.write_text(with_table(page, BEGIN, END, told), encoding="utf8")
    sys.stdout.write(told)


def _table(budget: int, cells: Sequence[str], records: Path) -> str:
    lines = [f"| learns from, taught by | steps | {' | '.join(VALUES)} |", "|---|---|" + "---|" * len(VALUES)]
    missing = []
    for cell in cells:
        path = records / f"{cell}.json"
        if not path.is_file():
            missing.append(cell)
            continue
        known = json.loads(path.read_text(encoding="utf8"))
        values = " | ".join("–" if (v := known["test"].get(name)) is None else f"{v:.3f}" for name in VALUES)
        lines.append(f"| {cell} | {' + '.join(map(str, known['steps']))} | {values} |")
    told = f"{budget} CPU seconds of steps for each cell.\n\n" + "\n".join(lines) + "\n"
    if missing:
        told += f"\nNot run yet ({len(missing)} of {len(cells)}): {', '.join(missing)}.\n"
    return told
