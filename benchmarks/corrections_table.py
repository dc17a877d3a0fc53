"""The table of simulated corrections, in Markdown, from the records of its cells."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from page import with_table

BEGIN, END = "<!-- corrections -->\n", "<!-- /corrections -->\n"


def write(page: Path, sets: Mapping[str, Sequence[str]], records: Path, values: Sequence[str]) -> None:
    """Replace what is between the markers by a table for each of the data `sets`, which have cells."""
    told = "\n".join(_table(data, cells, records, values) for data, cells in sets.items())
    page.write_text(with_table(page, BEGIN, END, told), encoding="utf8")
    sys.stdout.write(told)


def _table(data: str, cells: Sequence[str], records: Path, values: Sequence[str]) -> str:
    """A row for each way to choose, the mean over its seeds; cells without a record are named."""
    kinds: dict[str, list[dict[str, Any]]] = {}
    missing = []
    for cell in cells:
        path = records / f"{data}-{cell}.json"
        if path.is_file():
            kinds.setdefault(cell.rpartition("-")[0], []).append(json.loads(path.read_text(encoding="utf8")))
        else:
            missing.append(cell)
    if not kinds:
        return f"{data} was not run yet.\n"
    lines = [f"| corrected | {' | '.join(values)} | trainings |", "|---|" + "---|" * (len(values) + 1)]
    known = next(iter(kinds.values()))[0]
    lines.append(_row("nothing", [known["before"]], values))
    lines += [_row(kind.replace("-", " "), [r["after"] for r in found], values) for kind, found in kinds.items()]
    images, threads = len(known["before"]["images"]), known["threads"]
    how = "one thread" if threads == 1 else f"{threads} threads"
    told = f"{data}, {images} images of `test`; {known['budget']} of {how} each:\n\n" + "\n".join(lines) + "\n"
    if missing:
        told += f"\nNot run yet ({len(missing)} of {len(cells)}): {', '.join(missing)}.\n"
    return told


def _row(what: str, found: Sequence[dict[str, Any]], values: Sequence[str]) -> str:
    numbers = " | ".join(f"{mean(one[name] for one in found):.3f}" for name in values)
    return f"| {what} | {numbers} | {len(found) if what != 'nothing' else ''} |"
