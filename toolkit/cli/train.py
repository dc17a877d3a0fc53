"""`seg train`."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from toolkit.cli import console
from toolkit.cli.catalogue import catalogue
from toolkit.cli.show import Changes


def train(
    context: typer.Context,
    out: Annotated[Path, typer.Option("-o", "--out", metavar="RUN", help="Folder of the run.")],
    data: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="A data set with splits train and val; its train alone with --corrections."),
    ] = None,
    corrections: Annotated[
        list[str] | None,
        typer.Option(metavar="OUT", help="Learn from what was corrected in this result; may be repeated."),
    ] = None,
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
    minutes: Annotated[
        float | None, typer.Option(min=0.1, help="Stop after about so long; tuning takes up to a quarter more.")
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Number of steps. [default: the recipe's]")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda:N.")] = "auto",
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads; the result depends on it. [default: all]")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a training that was stopped.")] = False,
    name: Annotated[
        str | None, typer.Option(help="Install the model under this name, unless it is the one that it began with.")
    ] = None,
) -> None:
    """Train a method on your data; the best weights are those with the best instances on the split `val`.

    At the end the post-processor is tuned on `val`. The score that is printed is what `seg run` gives there.
    --deduce prints each field that it sets and why; what --set names stays. A run that is resumed keeps its own. A
    training that begins with all weights of START keeps them unless it finds better ones.

    Example: seg train --recipe unet --data data/ -o run --minutes 30
    """
    from toolkit.cli.training import Bar, install, lines, show
    from toolkit.training.begin import begin

    screen = console.progress()
    with Bar(screen) if screen.is_terminal else nullcontext(lines(screen)) as tell:
        done = begin(
            data,
            out,
            catalogue(context),
            corrections=corrections or (),
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
    show(done, out)
    if name is not None:
        install(done, out, name)
