"""One image of a run: read, segment, measure, write."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any

from toolkit import io
from toolkit.errors import InputError, PluginError
from toolkit.exchange import also
from toolkit.io import Found
from toolkit.pipeline.cluster import cluster
from toolkit.pipeline.elsewhere import Bench, Model, Source, block_elsewhere, pieces_elsewhere
from toolkit.pipeline.heard import tell
from toolkit.pipeline.passes import sweep
from toolkit.pipeline.pieces import Pieces
from toolkit.pipeline.prepared import Prepared
from toolkit.pipeline.session import Session, returned
from toolkit.pipeline.shelf import Shelf
from toolkit.pipeline.thinking import Thoughts, thoughts, together
from toolkit.pipeline.tools import tools
from toolkit.pipeline.workers import Map, serial, workers
from toolkit.plugins.specs import PostProcessor
from toolkit.registry.package import file_digest
from toolkit.running.options import Options
from toolkit.running.record import stamp, versions
from toolkit.running.seen import nothing
from toolkit.running.wanted import wanted
from toolkit.running.workspace import Workspace
from toolkit.steps.measure import Table, joined, measure
from toolkit.steps.normalise import Scale
from toolkit.steps.sizes import Diameter
from toolkit.values.frames import stack
from toolkit.values.image import Image
from toolkit.values.rescaling import Rescaling
from toolkit.values.scattered import Objects, whole
from toolkit.values.tiles import Block, Lattice, blocks

LONGEST = 220
"""Bytes of a name to which endings are added; file systems take 255."""
FEW = 8
"""What is done of an image of no more windows is not worth keeping."""
MANY = 48
"""So many windows are worth processes of their own, which take seconds to begin."""
BLOCK = {2: 2048, 3: 256}
"""Voxels per axis of a block."""
SCALE = "scale"
SIZE = "size"
"""Stages of a shelf."""


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
    stitched: bool = False
    """Whether objects were joined between windows or blocks by how far they are the same there."""
    size: dict[str, Any] = field(default_factory=dict)
    """The `Rescaling`."""
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
        if len(os.fsencode(found.stem)) > LONGEST:
            raise InputError("the name of this image is too long for those of its results", found.path, "rename it")
        where = source(found, options)
        frames = io.frames(found.path, where.axes, where.voxel_size)
        if options.strict and frames[0].absent:
            raise InputError(f"{frames[0].absent} chunks are not stored", found.path, "copy it, or leave out --strict")
        parts: list[Objects] = []
        tables: list[Table] = []
        thought: list[Thoughts] = []
        scale: Scale | None = None
        sized = at_size(space, found, bench, where, frames[0], options)
        vanished = 0
        for number, original in enumerate(frames):
            at = replace(where, frame=number, by=sized.by)
            tell("scale")
            shelf = Shelf(space.shelf(key(found)) / str(number), key(found))
            shelf.tidy()
            here = bench.prepared(at, scale or shelf.load(SCALE, Scale), original)
            scale = here.scale if session.model.recipe.normalise.together else None
            objects, lost, kept = _objects(session, model, at, here, sized, options, processes, shelf)
            vanished += lost
            if options.show:
                tell("thoughts")
                thought.append(thoughts(session, here, kept, whole(objects), options.show))
            tell("measure")
            part = wanted(objects, original, options.min_score, options.roi, options.mask)
            parts.append(part[0])
            tables.append(measure(part[0], original, options.features, part[1] if options.parted else None))
        instances, table = (
            (parts[0], tables[0]) if len(frames) == 1 else (stack(list(map(whole, parts))), joined(tables))
        )
        nonfinite = sum(map(io.count_nonfinite, frames))
        preview = frames[0] if options.preview and found.preview else None
        points = table.points() if session.model.recipe.postprocess.detects else None
        if stamp(found.path) != where.stamp:
            raise InputError("the image changed while it was read", found.path, "run again when it is whole")
        tell("write")
        told = together(thought) if thought else Thoughts()
        files = io.write(folder / found.folder, found.stem, instances, frames[0], table, preview, points,
                         options.parquet, told.fields, told.marks, options.ome_zarr)  # fmt: skip
        if options.also:
            files += also.write(options.also, folder / found.folder, found.stem, whole(instances), frames[0], table)
    except (InputError, PluginError) as error:
        return Done(found.stem, str(found.path.absolute()), error=str(error), code=error.exit_code)
    notes = here.image.notes + ((f"{nonfinite} values are not finite and were taken as 0",) if nonfinite else ())
    notes = (*notes, *told.notes)
    if vanished:
        notes = (*notes, f"{vanished} objects are smaller than a voxel of the image and left out")
    if not len(instances):
        notes = (*notes, nothing(here.image, frames[0].channels, sized))
    postprocess = session.model.recipe.postprocess
    work = divided(kept.lattice, options.block, postprocess)
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
        stitched=postprocess.stitched(len(kept.windows), len(work)),
        size=asdict(sized),
    )


def _objects(
    session: Session,
    model: Model,
    where: Source,
    here: Prepared,
    sized: Rescaling,
    options: Options,
    processes: int,
    shelf: Shelf,
) -> tuple[Objects, int, Pieces]:
    """The objects, how many vanish at the resolution of the image, and what they were made of."""
    lattice, postprocess = session.lattice(here), session.model.recipe.postprocess
    work, windows = divided(lattice, options.block, postprocess), sum(1 for _ in lattice.windows())
    if here.scale.constant or (len(work) == 1 and windows <= FEW):
        kept = session.pieces(here)
        found: Objects = session.found(kept, postprocess)
    else:
        for stage, value in ((SIZE, sized), (SCALE, here.scale)):
            if stage not in shelf.known(stage):
                shelf.save(stage, value)
        across = options.scheduler or (processes > 1 and (len(work) > 1 or windows >= MANY))
        kept, found = _shelved(session, model, where, here, options, processes if across else 1, shelf, work)
    assert kept.origin is not None, "a session makes pieces with their origin"
    objects = returned(found, kept.origin)
    return objects, len(found) - len(objects), kept


def _shelved(
    session: Session,
    model: Model,
    where: Source,
    here: Prepared,
    options: Options,
    processes: int,
    shelf: Shelf,
    work: Sequence[Block],
) -> tuple[Pieces, Objects]:
    """The pieces of one image on its shelf, and the objects in what the network saw."""
    with ExitStack() as stack:
        run: Map = serial
        remotes: dict[str, Any] = {}
        if options.scheduler or processes > 1:
            make = partial(Bench.of, model)
            elsewhere = cluster(options.scheduler, make, versions) if options.scheduler else workers(processes, make)
            run = stack.enter_context(elsewhere)
            remotes = {
                "pieces": partial(pieces_elsewhere, where, here.scale, str(shelf.folder)),
                "blocks": partial(block_elsewhere, str(shelf.folder)),
            }
        kept = session.pieces(here, shelf=shelf, run=run, remote=remotes.get("pieces"))
        kept.save()
        return kept, sweep(
            session.model.recipe.postprocess, kept, work, shelf=shelf, run=run, remote=remotes.get("blocks")
        )


def at_size(space: Workspace, found: Found, bench: Bench, where: Source, image: Image, options: Options) -> Rescaling:
    """At what size an image is seen. What was done of it at another size is of no use and goes."""
    before = Shelf(space.shelf(key(found)) / "0", key(found)).load(SIZE, Rescaling)
    sized = found.rescaling or before or bench.sized(where, image, Diameter.parse(options.diameter))
    if before not in (None, sized):
        space.forget(key(found))
    return sized


def divided(lattice: Lattice, block: int | None, postprocess: PostProcessor) -> list[Block]:
    """The blocks of an image: if the user does not say how large, as large as memory holds easily, where blocks change
    nothing."""
    return blocks(lattice, block or (BLOCK[len(lattice.shape)] if postprocess.exact else None))


def key(found: Found) -> str:
    """The name of an image in a run."""
    return str(found.folder / found.stem)


def source(found: Found, options: Options) -> Source:
    """How to read an input: what the user said goes before what its data set says."""
    axes, size = options.axes or found.axes, options.voxel_size or found.voxel_size
    return Source(str(found.path), axes, size, stamp(found.path), shows=options.show)
