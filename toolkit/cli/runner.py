"""A run as the command line tells it: plan before, progress during, summary after."""

from __future__ import annotations

import os
from contextlib import nullcontext
from dataclasses import asdict
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from toolkit.cli import console
from toolkit.cli.wish import Wish, chosen, default_out
from toolkit.errors import InputError
from toolkit.plugins.catalogue import Catalogue
from toolkit.running.workspace import check


def execute(wish: Wish, catalogue: Catalogue, as_json: bool) -> dict[str, Any]:
    """Do what was wished for; returns the record. Names and inputs are checked before torch is imported."""
    from toolkit import io

    found = io.find_inputs(wish.inputs)
    out = wish.out or default_out(wish.inputs, [f.stem for f in found])
    if not wish.dry_run:
        check(out, wish.overwrite)
    package = chosen(wish, catalogue)

    from toolkit.gpu.backend import select
    from toolkit.pipeline.segment import Model
    from toolkit.pipeline.workers import cores
    from toolkit.running.plan import peak, plan
    from toolkit.running.run import Options, run

    backend = select(wish.device)
    count = 1 if backend.on_gpu else wish.workers or cores()
    options = Options(out, wish.axes, wish.voxel_size, count, wish.block, wish.preview, wish.resume, wish.overwrite)
    screen = console.progress()
    screen.print(
        f"model  {package.name} {package.version}  sha256 {package.sha256[:12]}  licence {package.licence}",
    )
    allow = tuple(p.name for p in catalogue.plugins)
    ahead = plan(found, Model.of(package, backend, allow), options)
    images = f"{ahead.images} images, each " if ahead.images > 1 else ""
    blocks = "1 block" if ahead.blocks == 1 else f"{ahead.blocks} blocks"
    screen.print(
        f"plan   {images}{blocks}, about {ahead.gigabytes:.1f} GB, about {_duration(ahead.seconds)} on {backend.device}"
    )
    for note in ahead.notes:
        screen.print(f"note   {ahead.first}: {note}")
    if wish.dry_run:
        if as_json:
            console.document(asdict(ahead))
        return asdict(ahead)
    with _bar(len(found), screen) as progress:
        advance = (lambda _: progress.advance(progress.task_ids[0])) if progress else (lambda _: None)
        outcome = run(found, package, backend, options, advance, allow)
    good = [d for d in outcome.done if not d.error]
    for one in good:
        for note in one.notes:
            if "not finite" in note and (one.stem != ahead.first or note not in ahead.notes):
                screen.print(f"note   {one.stem}: {note}")
    screen.print(
        f"done   {_objects(good)}, {outcome.record['seconds']:.1f} s, peak {peak():.1f} GB",
    )
    if as_json:
        console.document(outcome.record)
    else:
        names = [name for d in good for name in d.files] if len(good) == 1 else [f"results of {len(good)} images"]
        console.results().print(f"wrote  {out}{os.sep}: {'  '.join([*names, 'run.json'])}")
    if outcome.failed:
        for one in outcome.failed:
            screen.print(f"failed {one.error}")
        raise InputError(
            f"{len(outcome.failed)} of {len(found)} images could not be used",
            ", ".join(d.stem for d in outcome.failed[:5]),
            "the others are done",
        )
    return outcome.record


def _bar(count: int, screen: Any) -> Any:
    if count < 2 or not screen.is_terminal:
        return nullcontext()
    bar = Progress(TextColumn("run   "), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=screen)
    bar.add_task("run", total=count)
    return bar


def _objects(done: list[Any]) -> str:
    objects, pairs = sum(d.objects for d in done), sum(d.overlapping for d in done)
    where = f" in {len(done)} images" if len(done) > 1 else ""
    return f"{objects} objects{where}" + (f", {pairs} overlapping pairs" if pairs else "")


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
