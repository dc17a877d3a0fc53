"""`seg train`."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toolkit.cli import console
from toolkit.cli.catalogue import catalogue
from toolkit.cli.show import Changes

if TYPE_CHECKING:
    from toolkit.training.loop import Report


def train(
    context: typer.Context,
    data: Annotated[str, typer.Option(metavar="DIR", help="A data set with splits train and val.")],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="RUN", help="Folder of the run.")],
    plugin: Annotated[str | None, typer.Option(help="The method.")] = None,
    recipe: Annotated[str | None, typer.Option(help="Name or path of a recipe. [default: the plugin's]")] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="START", help="Start from the weights of this model, or of its network; alone, with its recipe."
        ),
    ] = None,
    changes: Changes = None,
    deduce: Annotated[
        bool, typer.Option("--deduce", help="Set sizes and weights from the objects in DIR and the free memory.")
    ] = False,
    minutes: Annotated[float | None, typer.Option(min=0.1, help="Stop after about so long.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Number of steps. [default: the recipe's]")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda:N.")] = "auto",
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads; the result depends on it. [default: all]")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a training that was stopped.")] = False,
) -> None:
    """Train a method on your data; the best weights are those with the best instances on the split `val`.

    --deduce prints each field that it sets and why; what --set names stays. A run that is resumed keeps its own.

    Example: seg train --recipe unet --data data/ -o run --minutes 30
    """
    from toolkit.plugins.sections import VALUES
    from toolkit.training.begin import begin

    screen = console.progress()
    with _Bar(screen) if screen.is_terminal else nullcontext(_lines(screen)) as tell:
        chosen, done = begin(
            data,
            out,
            catalogue(context),
            plugin=plugin,
            recipe=recipe,
            model=model,
            changes=changes or (),
            deduce=deduce,
            minutes=minutes,
            steps=steps,
            device=device,
            threads=threads,
            resume=resume,
            tell=tell,
            say=partial(screen.print, markup=False, soft_wrap=True),
        )
    screen.print(
        f"done   {done.step} steps, {done.seconds / 60:.1f} min, "
        f"best {VALUES[chosen.training.validate_]} {done.best:.3f} at step {done.best_step}"
    )
    console.results().print(f"wrote  {out}: recipe.yaml  best.safetensors  log.csv  curve.png", markup=False)


def _lines(screen: Any) -> Any:
    """One line per validation, for a log file."""

    def tell(report: Report) -> None:
        if report.score is not None:
            now = report.progress
            screen.print(
                f"step   {now.step}/{now.steps}  loss {report.loss:.3f}  {report.metric} {report.score:.3f}  "
                f"best {now.best:.3f}"
            )

    return tell


class _Bar:
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
