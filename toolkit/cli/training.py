"""Training on the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.cli import console

if TYPE_CHECKING:
    from toolkit.training.loop import Report
    from toolkit.training.start import Trained


def show(done: Trained, data: str, out: Path) -> None:
    """How long it took, what was found at its end, and the score that a run of the model obtains."""
    now, score = done.progress, done.score
    console.progress().print(f"done   {now.step} steps, {now.seconds / 60:.1f} min, weights of step {now.best_step}")
    said = console.results()
    if score is not None:
        value = "–" if score.value is None else f"{score.value:.3f}"
        kept = f", with {' '.join(score.changes)} in the recipe" if score.changes else ""
        spent = f"{score.settings} settings, {score.seconds:.0f} s"
        said.print(
            f"score  {score.metric} {value} on {score.images} images of {data}:val{kept} ({spent})", markup=False
        )
    said.print(f"wrote  {out}: recipe.yaml  best.safetensors  log.csv  curve.png", markup=False)


def lines(screen: Any) -> Any:
    """One line per validation, for a log file."""

    def tell(report: Report) -> None:
        if report.score is not None:
            now = report.progress
            screen.print(
                f"step   {now.step}/{now.steps}  loss {report.loss:.3f}  {report.metric} {report.score:.3f}  "
                f"best {now.best:.3f}"
            )

    return tell


class Bar:
    """A progress bar with loss and score."""

    def __init__(self, screen: Any) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self.progress = Progress(
            TextColumn("train "),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.description}"),
            console=screen,
        )
        self.task = self.progress.add_task("", total=None)
        self.score = ""

    def __enter__(self) -> Any:
        self.progress.start()
        return self.tell

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    def tell(self, report: Report) -> None:
        """Show a step."""
        now = report.progress
        if report.score is not None:
            self.score = f"  {report.metric} {report.score:.3f}, best {now.best:.3f}"
        self.progress.update(
            self.task, completed=now.step, total=now.steps, description=f"loss {report.loss:.3f}{self.score}"
        )
