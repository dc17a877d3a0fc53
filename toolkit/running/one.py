"""One image of a run: read, segment, measure, write."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from toolkit import io
from toolkit.errors import InputError, PluginError
from toolkit.io import Found
from toolkit.pipeline.elsewhere import Bench, Model, Source, block_elsewhere, pieces_elsewhere
from toolkit.pipeline.passes import sweep
from toolkit.pipeline.session import Prepared, Session
from toolkit.pipeline.workers import tools, workers
from toolkit.registry.package import file_digest
from toolkit.running.options import Options
from toolkit.running.record import stamp
from toolkit.running.seen import nothing
from toolkit.steps.measure import Table, joined, measure
from toolkit.steps.normalise import Scale
from toolkit.steps.shrink import enlarge
from toolkit.values.frames import stack
from toolkit.values.instances import Instances
from toolkit.values.tiles import blocks

LONGEST = 220
"""Bytes of a name to which endings are added; file systems take 255."""
MANY = 48
"""So many windows are worth processes of their own, which take seconds to begin."""


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


def one_image(model: Model, options: Options, folder: str, processes: int, found: Found) -> Done:
    """Segment, measure and write one image; an input that cannot be used gives its sentence."""
    began = time.perf_counter()
    bench: Bench = tools()
    session = bench.session
    # Each process works on one image at a time; what it keeps of it is gone with it.
    pieces = Path(folder).parent / f"pieces-{os.getpid()}"
    try:
        if len(os.fsencode(found.stem)) > LONGEST:
            raise InputError("the name of this image is too long for those of its results", found.path, "rename it")
        where = source(found, options)
        frames = io.frames(found.path, where.axes, where.voxel_size)
        if options.strict and frames[0].absent:
            raise InputError(f"{frames[0].absent} chunks are not stored", found.path, "copy it, or leave out --strict")
        parts: list[Instances] = []
        tables: list[Table] = []
        scale: Scale | None = None
        for number, original in enumerate(frames):
            at = replace(where, frame=number)
            here = bench.prepared(at, scale, original)
            scale = here.scale if session.model.recipe.normalise.together else None
            objects = _objects(session, model, at, here, options, processes, pieces)
            parts.append(objects.select(objects.scores >= options.min_score) if options.min_score else objects)
            tables.append(measure(parts[-1], original, options.features))
        instances, table = (parts[0], tables[0]) if len(frames) == 1 else (stack(parts), joined(tables))
        nonfinite = sum(map(io.count_nonfinite, frames))
        preview = frames[0] if options.preview and found.preview else None
        points = table.points() if session.model.recipe.postprocess.detects else None
        files = io.write(Path(folder) / found.folder, found.stem, instances, frames[0], table, preview, points,
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
    session: Session, model: Model, where: Source, here: Prepared, options: Options, processes: int, pieces: Path
) -> Instances:
    lattice = session.lattice(here)
    many = len(blocks(lattice, options.block)) > 1 or sum(1 for _ in lattice.windows()) >= MANY
    try:
        if processes > 1 and many:
            return _by_processes(session, model, where, here, options, processes, pieces)
        kept = session.pieces(here, folder=pieces)
        return session.objects(kept, session.model.recipe.postprocess, options.block)
    finally:
        shutil.rmtree(pieces, ignore_errors=True)


def _by_processes(
    session: Session, model: Model, where: Source, here: Prepared, options: Options, processes: int, folder: Path
) -> Instances:
    """The objects of one image; all pieces are there before the first pass begins."""
    with workers(processes, partial(Bench.of, model)) as run:
        remote = partial(pieces_elsewhere, where, here.scale, str(folder))
        kept = session.pieces(here, folder=folder, run=run, remote=remote)
        if here.scale.constant:
            return Instances.empty(here.shape)
        kept.save()
        work, postprocess = blocks(kept.lattice, options.block), session.model.recipe.postprocess
        found = sweep(postprocess, kept, work, run=run, remote=partial(block_elsewhere, str(folder)))
    return enlarge(found, session.model.recipe.shrink, here.shape)


def source(found: Found, options: Options) -> Source:
    """How to read an input: what the user said goes before what its data set says."""
    axes, size = options.axes or found.axes, options.voxel_size or found.voxel_size
    return Source(str(found.path), axes, size, stamp(found.path))
