"""One image of a run: read, segment, measure, write."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit import io
from toolkit.errors import InputError, PluginError
from toolkit.io import Found
from toolkit.pipeline.elsewhere import Bench, Model, Source, block_elsewhere, pieces_elsewhere
from toolkit.pipeline.heard import tell
from toolkit.pipeline.look import rescaling
from toolkit.pipeline.passes import sweep
from toolkit.pipeline.pieces import Pieces
from toolkit.pipeline.session import Prepared, Session, returned
from toolkit.pipeline.workers import tools, workers
from toolkit.registry.package import file_digest
from toolkit.running.options import Options
from toolkit.running.record import stamp
from toolkit.running.seen import nothing
from toolkit.steps.measure import Table, joined, measure
from toolkit.steps.normalise import Scale
from toolkit.steps.sizes import Diameter
from toolkit.steps.within import box, within
from toolkit.values.frames import stack
from toolkit.values.image import Image
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
    size: dict[str, Any] = field(default_factory=dict)
    """The `Rescaling`."""
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
        sized = found.rescaling or rescaling(session, frames[0], Diameter.parse(options.diameter))
        vanished = 0
        for number, original in enumerate(frames):
            at = replace(where, frame=number, by=sized.by)
            tell("scale")
            here = bench.prepared(at, scale, original)
            scale = here.scale if session.model.recipe.normalise.together else None
            objects, lost = _objects(session, model, at, here, options, processes, pieces)
            vanished += lost
            objects = objects.select(objects.scores >= options.min_score) if options.min_score else objects
            tell("measure")
            part = _part(objects, options, original)
            parts.append(part[0])
            tables.append(measure(part[0], original, options.features, part[1] if options.parted else None))
        instances, table = (parts[0], tables[0]) if len(frames) == 1 else (stack(parts), joined(tables))
        nonfinite = sum(map(io.count_nonfinite, frames))
        preview = frames[0] if options.preview and found.preview else None
        points = table.points() if session.model.recipe.postprocess.detects else None
        tell("write")
        files = io.write(Path(folder) / found.folder, found.stem, instances, frames[0], table, preview, points,
                         options.parquet)  # fmt: skip
    except (InputError, PluginError) as error:
        return Done(found.stem, str(found.path.absolute()), error=str(error), code=error.exit_code)
    notes = here.image.notes + ((f"{nonfinite} values are not finite and were taken as 0",) if nonfinite else ())
    if vanished:
        notes = (*notes, f"{vanished} objects are smaller than a voxel of the image and left out")
    if not len(instances):
        notes = (*notes, nothing(here.image, frames[0].channels, sized))
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
        size=asdict(sized),
    )


def _objects(
    session: Session, model: Model, where: Source, here: Prepared, options: Options, processes: int, pieces: Path
) -> tuple[Instances, int]:
    """The objects, and how many vanish at the resolution of the image."""
    lattice = session.lattice(here)
    many = len(blocks(lattice, options.block)) > 1 or sum(1 for _ in lattice.windows()) >= MANY
    try:
        if processes > 1 and many:
            kept, found = _by_processes(session, model, where, here, options, processes, pieces)
        else:
            kept = session.pieces(here, folder=pieces)
            found = session.found(kept, session.model.recipe.postprocess, options.block)
        assert kept.origin is not None, "a session makes pieces with their origin"
        objects = returned(found, kept.origin)
        return objects, len(found) - len(objects)
    finally:
        shutil.rmtree(pieces, ignore_errors=True)


def _part(objects: Instances, options: Options, image: Image) -> tuple[Instances, NDArray[np.bool_]]:
    """The objects in the part of the image that is wanted, and which of them were cut."""
    roi = None if options.roi is None else box(options.roi, image.shape, image.name)
    mask = None if options.mask is None else io.read_truth(options.mask, shape=image.shape).covered > 0
    if mask is not None and mask.shape != image.shape:
        raise InputError(f"the mask has {list(mask.shape)} voxels and the image has {list(image.shape)}",
                         f"{image.name}, --mask {options.mask}", "choose the mask of this image")  # fmt: skip
    return within(objects, roi, mask)


def _by_processes(
    session: Session, model: Model, where: Source, here: Prepared, options: Options, processes: int, folder: Path
) -> tuple[Pieces, Instances]:
    """The pieces of one image and the objects in what the network saw; all pieces are there before the first pass."""
    with workers(processes, partial(Bench.of, model)) as run:
        remote = partial(pieces_elsewhere, where, here.scale, str(folder))
        kept = session.pieces(here, folder=folder, run=run, remote=remote)
        if here.scale.constant:
            return kept, Instances.empty(kept.shape)
        kept.save()
        work, postprocess = blocks(kept.lattice, options.block), session.model.recipe.postprocess
        return kept, sweep(postprocess, kept, work, run=run, remote=partial(block_elsewhere, str(folder)))


def source(found: Found, options: Options) -> Source:
    """How to read an input: what the user said goes before what its data set says."""
    axes, size = options.axes or found.axes, options.voxel_size or found.voxel_size
    return Source(str(found.path), axes, size, stamp(found.path))
