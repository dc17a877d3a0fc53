"""One image of a run: read, segment, measure, write."""

from __future__ import annotations

import os
import time
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit import io
from toolkit.errors import InputError, PluginError
from toolkit.exchange import also
from toolkit.io import Found
from toolkit.pipeline.elsewhere import Bench, Model, Source
from toolkit.pipeline.heard import tell
from toolkit.pipeline.remarks import Unread, ground, nothing, vanished
from toolkit.pipeline.shelf import Shelf
from toolkit.pipeline.thinking import Thoughts, thoughts, together
from toolkit.pipeline.tools import tools
from toolkit.registry.package import file_digest
from toolkit.running.lost import lost
from toolkit.running.options import Options
from toolkit.running.record import stamp
from toolkit.running.shelved import SCALE, SIZE, Making, Others, beside
from toolkit.running.wanted import wanted
from toolkit.running.workspace import Workspace
from toolkit.steps.measure import Table, joined, measure
from toolkit.steps.normalise import Scale
from toolkit.steps.sizes import Diameter
from toolkit.steps.void import hulls, numbers, said
from toolkit.values.frames import stack
from toolkit.values.image import Image
from toolkit.values.rescaling import Rescaling
from toolkit.values.scattered import Objects, whole

LONGEST = 220
"""Bytes of a name to which endings are added; file systems take 255."""


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
    skipped: tuple[str, ...] = ()
    """Boxes of the image in which nothing was looked for."""
    error: str | None = None
    code: int = 0
    """Exit code of the error."""


def one_image(model: Model, options: Options, space: Workspace, processes: int, found: Found) -> Done:
    """Segment, measure and write one image; an input that cannot be used gives its sentence.

    What was done of it before is on its shelf in `space` and is not done again.
    """
    with beside(model, options, processes) as others:
        return _one_image(options, space, others, found)


def _one_image(options: Options, space: Workspace, others: Others | None, found: Found) -> Done:
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
        few, unread, before = 0, list[Unread](), list[NDArray[np.float32]]()
        for number, original in enumerate(frames):
            at = replace(where, frame=number, by=sized.by)
            tell("scale")
            shelf = Shelf(space.shelf(key(found)) / str(number), key(found))
            shelf.tidy()
            here = bench.prepared(at, scale or shelf.load(SCALE, Scale), original)
            scale = here.scale if session.model.recipe.normalise.together else None
            lattice = session.lattice(here)
            void = hulls(options.skip, lattice, original.shape, original.name)
            here = replace(here, void=numbers(void, lattice))
            made = Making(session, at, here, sized, void, options, others, shelf, space.folder).made()
            few += made.vanished
            unread.append(Unread.of(original, session.model.recipe, here.scale))
            if options.show:
                tell("thoughts")
                thought.append(thoughts(session, here, made.kept, whole(made.objects), options.show))
            tell("measure")
            part = wanted(made.objects, original, options.min_score, options.roi, options.mask, number)
            before.append(made.objects.scores)
            parts.append(part[0])
            tables.append(measure(part[0], original, options.features, part[1] if options.parted else None))
        instances, table = (
            (parts[0], tables[0]) if len(frames) == 1 else (stack(list(map(whole, parts))), joined(tables))
        )
        preview = frames[0] if options.preview and found.preview else None
        points = table.points() if session.model.recipe.postprocess.detects else None
        if stamp(found.path) != where.stamp:
            raise InputError("the image changed while it was read", found.path, "run again when it is whole")
        tell("write")
        told = together(thought) if thought else Thoughts()
        files = io.write(folder / found.folder, found.stem, instances, frames[0], table, preview, points,
                         options.parquet, told.fields, told.marks, options.ome_zarr, made.make)  # fmt: skip
        if options.also:
            files += also.write(options.also, folder / found.folder, found.stem, whole(instances), frames[0], table)
    except (InputError, PluginError) as error:
        return Done(found.stem, str(found.path.absolute()), error=str(error), code=error.exit_code)
    odd = ground(here.image.seen, here.scale, session.model.recipe.input.knows)
    notes = (*here.image.notes, *Unread.said(unread), *odd, *told.notes, *vanished(few))
    if not len(instances):
        gone = lost(np.concatenate(before), options, frames)
        notes = (*notes, gone or nothing(here.image, frames[0].channels, sized))
    skipped = tuple(said(part, lattice, here.shape) for part in void)
    notes = (*notes, *filter(None, [made.note]), *(f"nothing was looked for in {part}" for part in skipped))
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
        stitched=session.model.recipe.postprocess.stitched(len(made.kept.windows), made.blocks),
        size=asdict(sized),
        skipped=skipped,
    )


def at_size(space: Workspace, found: Found, bench: Bench, where: Source, image: Image, options: Options) -> Rescaling:
    """At what size an image is seen. What was done of it at another size is of no use and goes."""
    before = Shelf(space.shelf(key(found)) / "0", key(found)).load(SIZE, Rescaling)
    sized = found.rescaling or before or bench.sized(where, image, Diameter.parse(options.diameter))
    if before not in (None, sized):
        space.forget(key(found))
    return sized


def key(found: Found) -> str:
    """The name of an image in a run."""
    return str(found.folder / found.stem)


def source(found: Found, options: Options) -> Source:
    """How to read an input: what the user said goes before what its data set says."""
    axes, size = options.axes or found.axes, options.voxel_size or found.voxel_size
    return Source(str(found.path), axes, size, stamp(found.path), shows=options.show)
