"""An evaluation on the terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from toolkit.cli import console
from toolkit.evaluation.evaluate import Evaluation
from toolkit.pipeline.workers import Map

NOTES = 3
"""Notes on single images that are shown; the others are counted."""


@contextmanager
def counted(run: Map, total: int) -> Iterator[Map]:
    """`run` with a bar on stderr, which a pipe does not get."""
    columns = (TextColumn("images"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console.progress(), transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("images", total=total)

        def watched(fn: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
            for result in run(fn, items):
                bar.advance(task)
                yield result

        yield watched


def show(found: Evaluation) -> None:
    """The summary as a table, with what has to be known to read it."""
    out = console.results()
    table = console.table("value", "mean", "95 % interval", "pooled")
    compared = bool(found.other)
    if compared:
        for name in ("other", "difference", "95 % interval"):
            table.add_column(name, overflow="fold")
    for column in table.columns:
        column.no_wrap = True
    for column in table.columns[1:]:
        column.justify = "right"
    for key, entry in found.summary.items():
        row = [key, number(entry["mean"]), span(entry["interval"]), number(entry["pooled"])]
        if compared:
            which = "mean" if entry["mean"] is not None else "pooled"
            change = entry["difference"]
            row += [number(entry["other"][which]), number(change[which], sign=True), span(change["interval"])]
        table.add_row(*row)
    out.print(table)
    out.print(f"{len(found.images)} images; mean over images, pooled over objects")
    if found.nothing:
        out.print(f"{len(found.nothing)} images have no object in truth and prediction; S counts them as 1")
    for note in found.notes[:NOTES]:
        out.print(f"note: {note}")
    if len(found.notes) > NOTES:
        out.print(f"note: the truth of {len(found.notes) - NOTES} more images is in doubt too")
    for metric in found.metrics:
        if "cap" in type(metric).model_fields:
            out.print(f"{metric.kind} takes at most {metric.model_dump()['cap']} objects of an image")


def number(value: float | None, sign: bool = False) -> str:
    """Three decimals, or a dash for what is undefined."""
    return "–" if value is None else f"{value:{'+' if sign else ''}.3f}"


def span(interval: list[Any] | None) -> str:
    """An interval such as 0.912…0.934."""
    return "" if interval is None else f"{interval[0]:.3f}…{interval[1]:.3f}"
