"""`seg train`."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toolkit.cli import console
from toolkit.cli.catalogue import catalogue
from toolkit.cli.show import Changes, recipe_named
from toolkit.errors import UsageError

if TYPE_CHECKING:
    from toolkit.training.deduce import Deduction

POST = "postprocess."


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
    minutes: Annotated[
        float | None, typer.Option(min=0.1, help="Stop after about so long; tuning takes up to a quarter more.")
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Number of steps. [default: the recipe's]")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda:N.")] = "auto",
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads; the result depends on it. [default: all]")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a training that was stopped.")] = False,
) -> None:
    """Train a method on your data; the best weights are those with the best instances on the split `val`.

    At the end the post-processor is tuned on `val`. The score that is printed is what `seg run` gives there.
    --deduce prints each field that it sets and why; what --set names stays. A run that is resumed keeps its own.

    Example: seg train --plugin embedseg --data data/ -o run --minutes 30
    """
    plugins = catalogue(context)
    if minutes is not None and steps is not None:
        raise UsageError("two ways to say how long", "--minutes and --steps", "choose one")
    wanted = [*(changes or ()), *([f"training.steps={steps}"] if steps else [])]
    owner = plugins.plugin(plugin).name if plugin else None
    begun = resume and (out / "recipe.yaml").is_file()
    if begun and (deduce or not (plugin or recipe)):
        from toolkit.training.provenance import recipe_of

        chosen, owner = recipe_of(out, plugins, wanted)
    elif plugin or recipe:
        chosen, owner = recipe_named(recipe or str(plugin), plugins, wanted, owner)
    elif not model:
        raise UsageError("no method was named", "--plugin, --recipe or --model", "see seg plugins list")

    from toolkit.cli.training import Bar, lines, show
    from toolkit.registry import resolve
    from toolkit.training.start import fitted
    from toolkit.training.start import train as begin

    start = resolve.load(model, plugins) if model else None
    if start and not (begun or plugin or recipe):
        chosen, owner = start.recipe.changed(wanted, plugins, start.owner), start.owner
    screen = console.progress()
    said = partial(screen.print, markup=False, soft_wrap=True)
    found: tuple[Deduction, ...] = ()
    if deduce and not begun:
        fixed = {change.partition("=")[0].strip() for change in wanted}
        chosen, found = fitted(chosen, data, plugins, device=device, owner=owner, fixed=fixed)
        for deduction in found:
            said(f"set    {deduction.field}={deduction.value}  ({deduction.reason})")
    with Bar(screen) if screen.is_terminal else nullcontext(lines(screen)) as tell:
        done = begin(
            chosen,
            data,
            out,
            minutes=minutes,
            device=device,
            threads=threads,
            model=start,
            owner=owner,
            resume=resume,
            deductions=found,
            held=[c.partition("=")[0][len(POST) :] for c in wanted if c.startswith(POST)],
            catalogue=plugins,
            tell=tell,
            say=said,
        )
    show(done, data, out)
