"""A run as the command line tells it: plan before, progress during, summary after."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from toolkit.cli import console, start
from toolkit.cli.agreed import begin, within
from toolkit.cli.wish import First, Wish, chosen, default_out, fitted, unlike
from toolkit.plugins.catalogue import Catalogue
from toolkit.running.workspace import Workspace, writable
from toolkit.steps.sizes import Diameter
from toolkit.steps.void import OPTION
from toolkit.steps.within import spans
from toolkit.values.rescaling import Rescaling


def execute(wish: Wish, catalogue: Catalogue, as_json: bool) -> dict[str, Any]:
    """Do what was wished for; returns the record. Names and inputs are checked before torch is imported."""
    from toolkit import io
    from toolkit.exchange import also
    from toolkit.io.inputs import named
    from toolkit.io.table import need_parquet

    looked = io.search(wish.inputs)
    found: Sequence[io.Found] = looked.images
    out = wish.out or default_out(wish.inputs, [f.stem for f in found])
    if wish.parquet:
        need_parquet()
    if wish.also:
        also.known(wish.also)
    if wish.scheduler:
        from toolkit.pipeline.cluster import reachable

        reachable(wish.scheduler)
    if not wish.dry_run and wish.stage is None:
        writable(Workspace(out, wish.overwrite, wish.work))
    asked = wish.diameter or ("off" if any(map(io.is_split, wish.inputs)) else "auto")
    Diameter.parse(asked)
    if wish.roi is not None:
        spans(wish.roi)
    for part in wish.skip:
        spans(part, OPTION)
    found = [replace(one, rescaling=wish.sizes.get(str(one.path.absolute()))) for one in found]
    typed, first = wish.changes, First(wish, found[0])
    wish, why = fitted(wish, first, catalogue)
    package, how = chosen(wish, catalogue, first)
    odd = unlike(wish, first, found) if how or wish.changes != typed else ""

    from toolkit.cli.bars import bars
    from toolkit.gpu.cores import cores
    from toolkit.gpu.memory import available
    from toolkit.pipeline.elsewhere import Bench
    from toolkit.pipeline.session import Session
    from toolkit.pipeline.thinking import known
    from toolkit.running.options import Options
    from toolkit.running.plan import peak, plan
    from toolkit.running.run import run
    from toolkit.running.seen import counted, resized

    known(wish.show, package.recipe.postprocess, catalogue)
    session = Session(package, wish.device, catalogue, wish.engine)
    bench, backend = Bench(session), session.backend
    count = 1 if backend.on_gpu else wish.workers or cores()
    options = Options(
        out, wish.axes, wish.voxel_size, count, wish.block, wish.preview, wish.resume, wish.overwrite, wish.strict,
        wish.features, wish.parquet, wish.min_score, asked, wish.roi, str(wish.mask.absolute()) if wish.mask else None,
        wish.scheduler, wish.show, wish.also, wish.ome_zarr or "0.5", wish.skip, wish.work,
    )  # fmt: skip
    screen = console.progress()
    screen.print(
        f"model  {package.name} {package.version}  sha256 {package.sha256[:12]}  licence {package.licence}",
    )
    if why or how:
        screen.print(f"chosen {why or how}", markup=False, soft_wrap=True)
    if odd:
        screen.print(f"note   {odd}", soft_wrap=True)
    for note in package.notes:
        screen.print(f"note   {package.name}: {note}", markup=False)
    allow = tuple(p.name for p in catalogue.plugins)
    if wish.stage is not None:
        from toolkit.running.array import make

        start.over()
        count = make(found, bench, options, wish.stage, wish.only)
        screen.print(f"done   stage {wish.stage}, which has {count} parts")
        return {"stage": wish.stage, "parts": count}
    with screen.status("plan"):
        ahead = plan(found, bench, options, first.readable)
    del first  # the bench keeps it as long as it is worked on
    start.over()
    room = peak() + available() / 2**30
    ahead, options = within(ahead, options, wish, room)
    screen.print(f"image  {ahead.image}", markup=False)
    if ahead.sized.said:
        screen.print(f"size   {ahead.sized.said}", markup=False)
    if wish.diameter is None and asked == "off" and package.recipe.input.diameter_px:
        screen.print("size   seen as it is, as every data set that has splits (--diameter auto)")
    images = f"{ahead.images} images, each " if ahead.images > 1 else ""
    blocks = "1 block" if ahead.blocks == 1 else f"{ahead.blocks} blocks"
    windows = f" of {ahead.windows} windows" if ahead.windows > 1 else ""
    disk = f", {ahead.disk:.1f} GB of disk" if ahead.disk >= 0.1 else ""
    joined = ", stitched" if ahead.stitched else ""
    screen.print(
        f"plan   {images}{blocks}{windows}{joined}, about {ahead.gigabytes:.1f} GB{disk}, about "
        f"{_duration(ahead.seconds)} on {backend.device}, {session.engine}", soft_wrap=True,
    )  # fmt: skip
    for note in ahead.notes:
        screen.print(f"note   {ahead.first}: {note}", markup=False)
    if looked.skipped:
        screen.print(f"note   {len(looked.skipped)} skipped: {named(looked.skipped)}", markup=False)
    if wish.dry_run and wish.slurm:
        from toolkit.running.array import script

        words = [word for word in sys.argv[1:] if word not in ("--dry-run", "--slurm", "--json")]
        jobs = script(words, session, ahead)
        if as_json:
            console.document({"script": jobs})
        else:
            sys.stdout.write(jobs)
        return asdict(ahead)
    if wish.dry_run:
        if as_json:
            console.document(asdict(ahead))
        return asdict(ahead)
    begin(ahead, options, wish, room)
    found = [replace(one, rescaling=ahead.sized) if one.path == ahead.path else one for one in found]
    with bars(len(found), screen) as advance:
        outcome = run(found, bench, options, advance, allow)
    good = [d for d in outcome.done if not d.error]
    if others := [d.stem for d in good if wish.digests.get(d.input, "") not in ("", d.sha256)]:
        few = ", ".join(others[:5]) + (f" and {len(others) - 5} more" if len(others) > 5 else "")
        screen.print(f"note   not the same bytes as in the run that is repeated: {few}", markup=False)
    for note, stems in _once(good, ahead).items():
        where = f"{stems[0]} and {len(stems) - 1} more" if len(stems) > 1 else stems[0]
        screen.print(f"note   {where}: {note}", markup=False)
    if len(good) > 1 and (sizes := resized([Rescaling(**d.size) for d in good if d.size])):
        screen.print(f"size   {sizes}", markup=False)
    if differ := counted([d.seen for d in good]):
        screen.print(f"note   not the same is seen of all images: {differ}", markup=False)
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
            screen.print(f"failed {one.error}", markup=False)
        raise outcome.failure(
            f"{len(outcome.failed)} of {len(found)} images could not be used",
            ", ".join(d.stem for d in outcome.failed[:5]),
            "the others are done",
        )
    return outcome.record


def _once(done: list[Any], ahead: Any) -> dict[str, list[str]]:
    """Notes that were not said before the run, each with the images of which it is true."""
    said: dict[str, list[str]] = {}
    for one in done:
        for note in one.notes:
            if note not in ahead.notes:
                said.setdefault(note, []).append(one.stem)
    return said


def _objects(done: list[Any]) -> str:
    objects, pairs = sum(d.objects for d in done), sum(d.overlapping for d in done)
    where = f" in {len(done)} images" if len(done) > 1 else ""
    return f"{objects} object{'s'[: objects != 1]}{where}" + (f", {pairs} overlapping pairs" if pairs else "")


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
