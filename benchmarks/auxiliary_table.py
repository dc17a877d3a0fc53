"""The tables of the auxiliary task, in Markdown, from what is known of its runs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from page import with_table

LEVELS = ("S@0.50", "S@0.60", "S@0.70", "S@0.80", "S@0.90")
AVERAGE = "avS@.1:.1:.9"
ROWS = (
    # value, tuned for, seeds: the rows of the paper's Tables 2 and 3
    ("S@0.50", "S@0.50", "main"),
    ("S@0.50", "S@0.50", "votes"),
    ("S@0.30", "S@0.50", "main"),
    ("AP_det", "AP_det", "main"),
    ("AP_det", "S@0.50", "main"),
    ("AP_det", "AP_det", "votes"),
    ("AP_det", "S@0.50", "votes"),
)

Known = Sequence[dict[str, Any]]


def write(page: Path, name: str, cells: Sequence[str], known: Known) -> None:
    """Replace what is between the markers of table `name`; nothing is written where no run has been judged."""
    judged = [run for run in known if run.get("cell") in cells and run.get("test")]
    if not judged:
        return
    begin, end = f"<!-- auxiliary {name} -->\n", f"<!-- /auxiliary {name} -->\n"
    told = "\n".join([*segmentation(cells, judged), "", *seeds_and_detection(cells, judged), ""])
    page.write_text(with_table(page, begin, end, told), encoding="utf8")
    sys.stdout.write(told)


def segmentation(cells: Sequence[str], judged: Known) -> list[str]:
    """The paper's Table 1: one row per cell."""
    lines = [
        f"| model | seeds | {AVERAGE} | {' | '.join(LEVELS)} |",
        "|---|---|---|" + "---|" * len(LEVELS),
    ]
    for cell in cells:
        runs = _runs(judged, cell, "S@0.50 main")
        if runs:
            values = " | ".join(told([run[key] for run in runs]) for key in (AVERAGE, *LEVELS))
            lines.append(f"| {shown(cell)} | {len(runs)} | {values} |")
    return lines


def seeds_and_detection(cells: Sequence[str], judged: Known) -> list[str]:
    """The paper's Tables 2 and 3: one column per cell."""
    here = [cell for cell in cells if any(run["cell"] == cell for run in judged)]
    lines = [
        f"| value | tuned for | seeds | {' | '.join(map(shown, here))} |",
        "|---|---|---|" + "---|" * len(here),
    ]
    for value, tuned_for, seeds in ROWS:
        columns = []
        for cell in here:
            at = "points" if cell.startswith("gauss") and seeds == "main" else seeds
            columns.append(told([run[value] for run in _runs(judged, cell, f"{tuned_for} {at}")]))
        if any(column != "–" for column in columns):
            lines.append(f"| {value} | {tuned_for} | {seeds} | {' | '.join(columns)} |")
    return lines


def told(values: Sequence[float]) -> str:
    """Mean and range."""
    if not values:
        return "–"
    mean = f"{sum(values) / len(values):.3f}"
    return mean if len(values) == 1 else f"{mean} ({min(values):.3f}–{max(values):.3f})"


def shown(cell: str) -> str:
    """A cell as the paper calls it."""
    bare = cell.removesuffix("-3d")
    return bare.removesuffix("-cpv") + (" + cpv" if bare.endswith("-cpv") else "")


def _runs(judged: Known, cell: str, how: str) -> list[dict[str, float]]:
    return [run["test"][how] for run in judged if run["cell"] == cell and how in run["test"]]
