"""Training on the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.cli import console

if TYPE_CHECKING:
    from toolkit.training.loop import Report
    from toolkit.training.start import Trained


def show(done: Trained, out: Path) -> None:
    """How long it took, what was found at its end, and the score that a run of the model obtains."""
    now, score = done.progress, done.score
    kept = now.best_step == 0 or (score is not None and score.kept)
    which = f"step {now.best_step}" if not kept else "the model that it began with, because none were better"
    console.progress().print(f"done   {now.step} steps, {now.seconds / 60:.1f} min, weights of {which}", soft_wrap=True)
    said = console.results()
    if score is not None:
        value = _number(score.value) if score.before is None else f"{_number(score.before)} → {_number(score.value)}"
        changed = f", with {' '.join(score.changes)} in the recipe" if score.changes else ""
        spent = f"{score.settings} settings, {score.seconds:.0f} s"
        said.print(
            f"score  {score.metric} {value} on {score.images} images of {done.data}:val{changed} ({spent})",
            markup=False,
        )
    said.print(f"wrote  {out}: recipe.yaml  best.safetensors  log.csv  curve.png", markup=False)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def install(done: Trained, out: Path, name: str) -> None:
    """Put the model into the registry, with what it began with and what corrections it learnt."""
    from toolkit.registry.install import Wanted, next_version
    from toolkit.registry.install import install as add
    from toolkit.registry.package import trained
    from toolkit.registry.store import Store

    if done.score is not None and done.score.kept:
        console.progress().print(f"note   not installed as {name}: it is the model that it began with")
        return
    about, store = trained(out), Store()
    taught = about.get("corrections")
    note = f"corrections {taught['sha256']} of {len(taught['images'])} images" if taught else ""
    parent = (about.get("start") or {}).get("model", "")
    entry = add(str(out), Wanted(name, next_version(name, store), (), note, parent), store)
    if done.score is not None and done.score.value is not None:
        store.note(entry.reference, scores={f"{done.score.metric} val": done.score.value})
    console.results().print(f"added  {entry.reference}: parent {parent or 'none'}", markup=False)


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
