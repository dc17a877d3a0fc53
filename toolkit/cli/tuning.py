"""Tuning on the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from toolkit.cli import console
from toolkit.tune.precision import LOSS

if TYPE_CHECKING:
    from toolkit.tune.tuned import Tuned


def show(found: Tuned) -> None:
    """The best setting, what it gains and how to use it."""
    out = console.results()
    before, after = (("–" if v is None else f"{v:.4f}") for v in (found.before, found.after))
    what = f"on {found.images} images of {found.data}, {len(found.trials)} settings, {found.seconds:.0f} s"
    if not found.better:
        out.print(f"best   {found.metric} {before}: nothing is better than what the recipe has; {what}", markup=False)
        _bits(found, out)
        return
    gain = ""
    if found.interval is not None:
        low, high = found.interval
        chance = ", which may be chance" if low <= 0 <= high else ""
        gain = f" (difference {low:+.4f} to {high:+.4f} with 95 % confidence{chance})"
    out.print(f"best   {found.metric} {before} -> {after}{gain}, {what}", markup=False)
    for name, value in found.best.items():
        out.print(f"       {name} {found.start[name]} -> {value}", markup=False)
    out.print("       " + " ".join(f"--set {change}" for change in found.changes), markup=False)
    _bits(found, out)


def _bits(found: Tuned, out: Any) -> None:
    """Whether 16 bits cost something, if that was measured."""
    if found.precision is not None:
        fall = max(found.precision.float32[name] - value for name, value in found.precision.bfloat16.items())
        said = f"the most that an S@t falls by is {max(fall, 0.0):.4f}, {LOSS:g} is allowed"
        out.print(f"       tiling.precision={found.bits}: in 16 bits {said}", markup=False)


@contextmanager
def bar(screen: Any, metric: str, trials: int) -> Iterator[Any]:
    """A progress bar on a terminal, with the best score so far."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(
        *columns, TextColumn("{task.fields[best]}"), console=screen, disable=not screen.is_terminal
    ) as progress:
        tasks = {
            "predict": progress.add_task("predict", total=None, best=""),
            "tune": progress.add_task("tune", total=trials, best=""),
        }

        def tell(what: str, done: int, total: int, best: float | None) -> None:
            progress.update(
                tasks[what], completed=done, total=total, best="" if best is None else f"{metric} {best:.4f}"
            )

        yield tell
