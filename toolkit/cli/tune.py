"""`seg tune`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from toolkit.cli import console
from toolkit.cli.catalogue import catalogue
from toolkit.cli.show import Changes
from toolkit.errors import UsageError, nearest


def tune(
    context: typer.Context,
    model: Annotated[str, typer.Argument(metavar="RUN|MODEL", help="Folder of a training run, or a model.")],
    data: Annotated[str, typer.Option(metavar="DIR[:SPLIT]", help="Annotated images. [default split: val]")],
    metric: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="What to improve: S@0.80, avS@.5:.05:.95, PQ … [default: what the training was validated by]",
        ),
    ] = None,
    trials: Annotated[int, typer.Option(min=2, metavar="N", help="How many settings to try at most.")] = 100,
    sampler: Annotated[str, typer.Option(help="coordinates, grid or optuna.")] = "coordinates",
    only: Annotated[
        list[str] | None, typer.Option(metavar="FIELD", help="Search this field only; may be repeated.")
    ] = None,
    changes: Changes = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", metavar="FOLDER", help="Write the tuned model here instead.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda:N.")] = "auto",
    workers: Annotated[int, typer.Option(min=0, metavar="N", help="Processes; 0 is one per core.")] = 0,
    force: Annotated[bool, typer.Option("--force", help="Tune on test images all the same.")] = False,
    as_json: console.Json = False,
) -> None:
    """Search the thresholds of a post-processor on validation images.

    The network runs once for each image. A training run keeps what is found in its recipe; of any other model it is
    printed, or written with -o. A field that --set sets is not searched.

    Example: seg tune run --data data:val --metric S@0.80
    """
    from toolkit.cli.tuning import bar, show
    from toolkit.evaluation.named import find_value
    from toolkit.plugins.sections import VALUES
    from toolkit.registry import resolve
    from toolkit.tune import choose, kept, tunable
    from toolkit.tune import tune as search
    from toolkit.tune.search import SAMPLERS

    if sampler not in SAMPLERS:
        raise UsageError("no such sampler", sampler, nearest(sampler, SAMPLERS))
    if out is not None:
        kept.free(out)
    where = choose(data, force)
    plugins = catalogue(context)
    allow = tuple(p.name for p in plugins.plugins)
    if metric is not None:
        find_value(metric, plugins)
    loaded = resolve.load(model, plugins)
    metric = metric or VALUES[loaded.recipe.training.validate_]
    loaded = loaded.with_recipe(loaded.recipe.changed(changes or (), plugins, loaded.owner))
    loaded.recipe.expects(loaded.heads)
    held = [c.partition("=")[0].removeprefix("postprocess.") for c in changes or () if c.startswith("postprocess.")]
    space = tunable(loaded, only or (), held)

    from toolkit.gpu.backend import select
    from toolkit.gpu.cores import cores

    backend = select(device)
    screen = console.progress()
    screen.print(
        f"model  {loaded.name} {loaded.version}  {loaded.recipe.postprocess.kind}: {', '.join(space)}", markup=False
    )
    with bar(screen, metric, trials) as tell:
        found = search(
            loaded,
            where,
            plugins,
            metric=metric,
            space=space,
            sampler=sampler,
            trials=trials,
            backend=backend,
            processes=1 if backend.on_gpu else workers or cores(),
            allow=allow,
            tell=tell,
        )
    wrote: list[Path] = []
    if out is not None:
        wrote = kept.save(found, loaded, out)
    elif (found.better or found.bits != loaded.recipe.tiling.precision) and kept.is_run(model):
        wrote = kept.keep(found, Path(model))
    if as_json:
        console.document({**found.to_json(), "wrote": [str(path) for path in wrote]})
        return
    show(found)
    if wrote:
        console.results().print(f"wrote  {wrote[0].parent}{os.sep}: {'  '.join(p.name for p in wrote)}", markup=False)
