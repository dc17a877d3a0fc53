"""Images in, a folder of results out: what `seg run` does."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from toolkit import io
from toolkit.errors import InputError, Interrupted, PluginError, ToolkitError
from toolkit.io import Found
from toolkit.pipeline.elsewhere import Bench, Model, Source, block_elsewhere, pieces_elsewhere
from toolkit.pipeline.passes import sweep
from toolkit.pipeline.session import Prepared, Session
from toolkit.pipeline.workers import tools, workers
from toolkit.registry.package import ModelPackage, file_digest
from toolkit.running.record import record, stamp, versions
from toolkit.running.seen import nothing
from toolkit.running.workspace import opened
from toolkit.steps.measure import Table, joined, measure
from toolkit.steps.normalise import Scale
from toolkit.steps.shrink import enlarge
from toolkit.values.frames import stack
from toolkit.values.instances import Instances
from toolkit.values.tiles import blocks

MANY = 48
"""So many windows are worth processes of their own, which take seconds to begin."""


@dataclass(frozen=True)
class Options:
    """How to run. `block`: voxels per axis of a block, or None for one; `workers`: processes."""

    out: Path
    axes: str | None = None
    voxel_size: tuple[float, ...] | None = None
    workers: int = 1
    block: int | None = None
    preview: bool = True
    resume: bool = False
    overwrite: bool = False
    strict: bool = False


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


@dataclass(frozen=True)
class Outcome:
    """A whole run: the images and the record that was written."""

    done: tuple[Done, ...]
    record: dict[str, Any] = field(repr=False)

    @property
    def failure(self) -> type[InputError | PluginError]:
        """Whose fault it is that images failed: a plugin's, if one of them is."""
        return PluginError if any(d.code == PluginError.exit_code for d in self.done) else InputError

    @property
    def failed(self) -> tuple[Done, ...]:
        return tuple(d for d in self.done if d.error)


def run(
    found: Sequence[Found],
    session: Session,
    options: Options,
    tell: Callable[[Done], None] = lambda _: None,
    allow: tuple[str, ...] | None = None,
) -> Outcome:
    """Segment all images into `options.out`, which appears when all are done.

    A bad image among several is listed in the outcome and the others are done; if none can be done, its error is
    raised and nothing is written. With `resume`, images that were finished by a run that was stopped are kept.
    """
    package = session.model
    model = Model.of(package, session.backend, allow)
    began = time.time()
    with opened(options.out, _fingerprint(found, package, options), options.resume, options.overwrite) as space:
        before = space.done()
        todo = [f for f in found if _key(f) not in before]
        results = {key: Done(**{k: v for k, v in row.items() if k != "key"}) for key, row in before.items()}
        across = len(todo) > 1 and options.workers > 1
        make = partial(Bench.of, model) if across else partial(Bench, session)
        with (
            _resumable(results, len(found), options.out),
            workers(options.workers if across else 1, make) as over_images,
        ):
            job = partial(one_image, model, options, str(space.work), 1 if across else options.workers)
            for one, done in zip(todo, over_images(job, todo), strict=True):
                if done.error is None:
                    space.finish(_key(one), asdict(done))
                results[_key(one)] = done
                tell(done)
        outcome = tuple(results[_key(f)] for f in found)
        if all(d.error for d in outcome):
            raise Outcome(outcome, {}).failure(
                f"no image could be segmented ({len(found)} tried)" if len(found) > 1 else str(outcome[0].error),
                outcome[0].error if len(found) > 1 else "",
            )
        settings = {name: getattr(options, name) for name in ("axes", "voxel_size", "workers", "block", "preview")}
        written = record(package, model, settings, [asdict(d) for d in outcome])
        written |= {"seconds": round(time.time() - began, 3)}
        space.publish(written)
    return Outcome(outcome, written)


@contextmanager
def _resumable(results: dict[str, Done], total: int, out: Path) -> Iterator[None]:
    """Say what an error leaves to go on from."""
    try:
        yield
    except (ToolkitError, KeyboardInterrupt) as error:
        finished = sum(1 for done in results.values() if done.error is None)
        kept = f"{finished} of {total} images are done and kept for --resume" if finished else ""
        if isinstance(error, KeyboardInterrupt):
            raise Interrupted("interrupted", out, kept) from error
        raise type(error)(error.what, error.where, "; ".join(filter(None, (error.do, kept)))) from error


def one_image(model: Model, options: Options, folder: str, processes: int, found: Found) -> Done:
    """Segment, measure and write one image; an input that cannot be used gives its sentence."""
    began = time.perf_counter()
    bench: Bench = tools()
    session = bench.session
    # Each process works on one image at a time; what it keeps of it is gone with it.
    pieces = Path(folder).parent / f"pieces-{os.getpid()}"
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
            here = bench.prepared(at, scale, original)
            scale = here.scale if session.model.recipe.normalise.together else None
            parts.append(_objects(session, model, at, here, options, processes, pieces))
            tables.append(measure(parts[-1], original))
        instances, table = (parts[0], tables[0]) if len(frames) == 1 else (stack(parts), joined(tables))
        nonfinite = sum(map(io.count_nonfinite, frames))
        preview = frames[0] if options.preview else None
        points = table.points() if session.model.recipe.postprocess.detects else None
        files = io.write(Path(folder) / found.folder, found.stem, instances, frames[0], table, preview, points)
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


def _key(found: Found) -> str:
    return str(found.folder / found.stem)


def _fingerprint(found: Sequence[Found], package: ModelPackage, options: Options) -> dict[str, Any]:
    """All that decides what is written."""
    return {
        "model": package.sha256,
        "recipe": package.recipe.plain(),
        "inputs": [(str(f.path.absolute()), stamp(f.path)) for f in found],
        "--axes": options.axes,
        "--voxel-size": options.voxel_size,
        "--block": None if package.recipe.postprocess.exact else options.block,
        "--no-preview": not options.preview,
        "--strict": options.strict,
        "versions": versions(),
    }
