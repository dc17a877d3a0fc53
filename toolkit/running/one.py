"""One image of a run: read, segment, measure, write."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from toolkit import io
from toolkit.errors import InputError, PluginError
from toolkit.io import Found
from toolkit.pipeline.cluster import cluster
from toolkit.pipeline.elsewhere import Bench, Model, Source, block_elsewhere, pieces_elsewhere
from toolkit.pipeline.passes import sweep
from toolkit.pipeline.session import Prepared
from toolkit.pipeline.shelf import Shelf
from toolkit.pipeline.tools import tools
from toolkit.pipeline.workers import Map, serial, workers
from toolkit.plugins.specs import PostProcessor
from toolkit.registry.package import file_digest
from toolkit.running.options import Options
from toolkit.running.record import stamp, versions
from toolkit.running.seen import nothing
from toolkit.running.workspace import Workspace
from toolkit.steps.measure import Table, joined, measure
from toolkit.steps.normalise import Scale
from toolkit.steps.shrink import enlarge
from toolkit.values.frames import stack
from toolkit.values.instances import Instances
from toolkit.values.tiles import blocks

FEW = 8
"""What is done of an image of no more windows is not worth keeping."""
MANY = 48
"""So many windows are worth processes of their own, which take seconds to begin."""


BLOCK = 400
"""Voxels per axis of a block."""
SCALE = "scale"


@dataclass(frozen=True)
class Done:
    """One image: what came of it, or the sentence why nothing did."""

    stem: str
    input: str
    sha256: str = ""
    shape: tuple[int, ...] = ()
    objects: int = 0
    overlapping: int = 0
    seconds: float = 0.0
    files: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    seen: str = ""
    error: str | None = None
    code: int = 0
    """Exit code of the error."""


def one_image(model: Model, options: Options, space: Workspace, processes: int, found: Found) -> Done:
    """Segment, measure and write one image; an input that cannot be used gives its sentence.

    What was done of it before is on its shelf in `space` and is not done again.
    """
    began = time.perf_counter()
    bench: Bench = tools()
    session, folder = bench.session, space.work
    try:
        where = source(found, options)
        frames = io.frames(found.path, where.axes, where.voxel_size)
        if options.strict and frames[0].absent:
            raise InputError(f"{frames[0].absent} chunks are not stored", found.path, "copy it, or leave out --strict")
        parts: list[Instances] = []
        tables: list[Table] = []
        scale: Scale | None = None
        for number, original in enumerate(frames):
            at = replace(where, frame=number)
            shelf = Shelf(space.shelf(key(found)) / str(number), key(found))
            shelf.tidy()
            here = bench.prepared(at, scale or shelf.load(SCALE, Scale), original)
            scale = here.scale if session.model.recipe.normalise.together else None
            objects = _objects(bench, model, at, here, options, processes, shelf)
            parts.append(objects.select(objects.scores >= options.min_score) if options.min_score else objects)
            tables.append(measure(parts[-1], original, options.features))
        instances, table = (parts[0], tables[0]) if len(frames) == 1 else (stack(parts), joined(tables))
        nonfinite = sum(map(io.count_nonfinite, frames))
        preview = frames[0] if options.preview and found.preview else None
        points = table.points() if session.model.recipe.postprocess.detects else None
        if stamp(found.path) != where.stamp:
            raise InputError("the image changed while it was read", found.path, "run again when it is whole")
        files = io.write(folder / found.folder, found.stem, instances, frames[0], table, preview, points,
                         options.parquet)  # fmt: skip
    except (InputError, PluginError) as error:
        return Done(found.stem, str(found.path.absolute()), error=str(error), code=error.exit_code)
    notes = here.image.notes + ((f"{nonfinite} values are not finite and were taken as 0",) if nonfinite else ())
    if not len(instances):
        notes = (*notes, nothing(here.image, frames[0].channels))
    return Done(
        stem=found.stem,
        input=str(found.path.absolute()),
        sha256=file_digest(found.path) if found.path.is_file() else "",
        shape=instances.shape,
        objects=len(instances),
        overlapping=len(instances.overlapping_pairs()[0]),
        seconds=time.perf_counter() - began,
        files=tuple(str(f.relative_to(folder)) for f in files),
        notes=notes,
        seen=here.image.seen,
    )


def _objects(
    bench: Bench, model: Model, where: Source, here: Prepared, options: Options, processes: int, shelf: Shelf
) -> Instances:
    session, postprocess = bench.session, bench.session.model.recipe.postprocess
    lattice = session.lattice(here)
    work, windows = blocks(lattice, usual(options.block, postprocess)), sum(1 for _ in lattice.windows())
    if here.scale.constant or (len(work) == 1 and windows <= FEW):
        return session.objects(session.pieces(here), postprocess)
    if SCALE not in shelf.known(SCALE):
        shelf.save(SCALE, here.scale)
    with ExitStack() as stack:
        run: Map = serial
        remotes: dict[str, Any] = {}
        if options.scheduler or (processes > 1 and (len(work) > 1 or windows >= MANY)):
            make = partial(Bench.of, model)
            elsewhere = cluster(options.scheduler, make, versions) if options.scheduler else workers(processes, make)
            run = stack.enter_context(elsewhere)
            remotes = {
                "pieces": partial(pieces_elsewhere, where, here.scale, str(shelf.folder)),
                "blocks": partial(block_elsewhere, str(shelf.folder)),
            }
        kept = session.pieces(here, shelf=shelf, run=run, remote=remotes.get("pieces"))
        kept.save()
        found = sweep(postprocess, kept, work, shelf=shelf, run=run, remote=remotes.get("blocks"))
    return enlarge(found, session.model.recipe.shrink, here.shape)


def usual(block: int | None, postprocess: PostProcessor) -> int | None:
    """Voxels per axis of a block: if the user does not say, as many as memory holds easily, where blocks change
    nothing."""
    return block or (BLOCK if postprocess.exact else None)


def key(found: Found) -> str:
    """The name of an image in a run."""
    return str(found.folder / found.stem)


def source(found: Found, options: Options) -> Source:
    """How to read an input: what the user said goes before what its data set says."""
    axes, size = options.axes or found.axes, options.voxel_size or found.voxel_size
    return Source(str(found.path), axes, size, stamp(found.path))
