"""Images in, a folder of results out: what `seg run` does."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from toolkit import io
from toolkit.errors import InputError, ToolkitError
from toolkit.gpu.backend import Backend
from toolkit.io import Found
from toolkit.measure import measure
from toolkit.pipeline import Model, Source, assemble, block_elsewhere, scene
from toolkit.registry.package import ModelPackage, file_digest
from toolkit.tiles import blocks
from toolkit.workers import serial, workers
from toolkit.workspace import Workspace, opened

SCHEMA = "toolkit.run/1"


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


@dataclass(frozen=True)
class Plan:
    """What a run will cost, measured on one window of the first image."""

    images: int
    blocks: int
    windows: int
    seconds: float
    gigabytes: float
    first: str
    notes: tuple[str, ...]


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
    error: str | None = None


@dataclass(frozen=True)
class Outcome:
    """A whole run: the images and the record that was written."""

    done: tuple[Done, ...]
    record: dict[str, Any] = field(repr=False)

    @property
    def failed(self) -> tuple[Done, ...]:
        return tuple(d for d in self.done if d.error)


def plan(found: Sequence[Found], model: Model, options: Options) -> Plan:
    """Open the first image that can be read, run one window of it, and say what all of it will cost."""
    error: InputError | None = None
    for one in found:
        try:
            here = scene(model, source(one, options))
        except InputError as reason:
            error = reason
            continue
        lattice = here.predictor.lattice(here.image.shape)
        work = blocks(lattice, options.block)
        windows = sum(1 for _ in lattice.windows())
        here.predictor(here.image, here.scale, next(lattice.windows()).core)  # the first window warms up
        began = time.perf_counter()
        here.predictor(here.image, here.scale, next(lattice.windows()).core)
        pace = time.perf_counter() - began
        voxels = max(b.core.grow(here.postprocess.halo(here.image.ndim), here.image.shape).size for b in work)
        heads = 4 * sum(head.channels for head in here.predictor.heads) * voxels
        split = min(options.workers, max(len(found), len(work)))
        return Plan(
            images=len(found),
            blocks=len(work),
            windows=windows,
            seconds=len(found) * windows * pace / split,
            gigabytes=split * (peak() + 2 * heads / 2**30),
            first=one.stem,
            notes=_notes(here.image.notes, here.predictor.recipe.input.spacing_um, here.image),
        )
    assert error is not None, "there is at least one input"
    raise error


def run(
    found: Sequence[Found],
    package: ModelPackage,
    backend: Backend,
    options: Options,
    tell: Callable[[Done], None] = lambda _: None,
    allow: tuple[str, ...] | None = None,
) -> Outcome:
    """Segment all images into `options.out`, which appears when all are done.

    A bad image among several is listed in the outcome and the others are done; if none can be done, its error is
    raised and nothing is written. With `resume`, images that were finished by a killed run are kept.
    """
    model = Model.of(package, backend, allow)
    began = time.time()
    fingerprint = {
        "model": package.sha256,
        "recipe": model.recipe,
        "inputs": [str(f.path.resolve()) for f in found],
        "axes": options.axes,
        "voxel size": options.voxel_size,
    }
    with opened(options.out, fingerprint, options.resume, options.overwrite) as space:
        before = space.done()
        todo = [f for f in found if _key(f) not in before]
        results = {key: Done(**{k: v for k, v in row.items() if k != "key"}) for key, row in before.items()}
        across = len(todo) > 1 and options.workers > 1
        with workers(options.workers if across else 1) as over_images:
            job = partial(one_image, model, options, str(space.work), 1 if across else options.workers)
            for one, done in zip(todo, over_images(job, todo), strict=True):
                results[_key(one)] = done
                if done.error is None:
                    space.finish(_key(one), asdict(done))
                tell(done)
        outcome = tuple(results[_key(f)] for f in found)
        if all(d.error for d in outcome):
            raise InputError(
                f"no image could be segmented ({len(found)} tried)" if len(found) > 1 else str(outcome[0].error),
                outcome[0].error if len(found) > 1 else "",
            )
        record = _record(package, model, options, outcome, time.time() - began)
        space.publish(record)
    return Outcome(outcome, record)


def one_image(model: Model, options: Options, folder: str, processes: int, found: Found) -> Done:
    """Segment, measure and write one image; an input that cannot be used gives its sentence."""
    began = time.perf_counter()
    try:
        where = source(found, options)
        here = scene(model, where)
        if processes > 1 and len(blocks(here.predictor.lattice(here.image.shape), options.block)) > 1:
            with workers(processes) as over_blocks:
                instances = assemble(here, options.block, over_blocks, partial(block_elsewhere, model, where))
        else:
            instances = assemble(here, options.block, serial)
        original = io.read(found.path, where.axes, where.voxel_size)
        nonfinite = io.count_nonfinite(original)
        preview = original if options.preview else None
        files = io.write(
            Path(folder) / found.folder, found.stem, instances, original, measure(instances, original), preview
        )
    except InputError as error:
        return Done(found.stem, str(found.path), error=str(error))
    notes = original.notes + ((f"{nonfinite} values are not finite and were taken as 0",) if nonfinite else ())
    return Done(
        stem=found.stem,
        input=str(found.path),
        sha256=file_digest(found.path) if found.path.is_file() else "",
        shape=instances.shape,
        objects=len(instances),
        overlapping=len(instances.overlapping_pairs()[0]),
        seconds=time.perf_counter() - began,
        files=tuple(str(f.relative_to(folder)) for f in files),
        notes=notes,
    )


def source(found: Found, options: Options) -> Source:
    """How to read an input: what the user said goes before what its data set says."""
    return Source(str(found.path), options.axes or found.axes, options.voxel_size or found.voxel_size)


def peak() -> float:
    """Most main memory that this process has held, in GiB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30


def _key(found: Found) -> str:
    return str(found.folder / found.stem)


def _notes(notes: tuple[str, ...], trained_um: tuple[float, ...] | None, image: Any) -> tuple[str, ...]:
    """The image's own notes, and a warning if it is much finer or coarser than what the model was trained on."""
    if trained_um is None or not image.calibrated:
        return notes
    ratio = max(max(a / b, b / a) for a, b in zip(trained_um, image.voxel_size, strict=True))
    if ratio < 1.25:
        return notes
    return (
        *notes,
        f"the model was trained at {list(trained_um)} µm per voxel and this image has {list(image.voxel_size)}",
    )


def _record(
    package: ModelPackage, model: Model, options: Options, done: Sequence[Done], seconds: float
) -> dict[str, Any]:
    """`run.json`: enough to repeat the run."""
    versions = {d.name: d.version for d in distributions() if d.name and d.name.startswith("seg-toolkit")}
    return {
        "schema": SCHEMA,
        "model": {"reference": model.reference, "owner": model.owner, "name": package.name, "sha256": package.sha256},
        "recipe": package.recipe.plain(),
        "options": {
            "axes": options.axes,
            "voxel_size": options.voxel_size,
            "workers": options.workers,
            "block": options.block,
        },
        "device": model.device,
        "versions": versions | {"python": sys.version.split()[0]} | _libraries(),
        "seconds": round(seconds, 3),
        "images": [asdict(d) for d in done],
    }


def _libraries() -> dict[str, str]:
    from importlib.metadata import version

    return {name: version(name) for name in ("torch", "numpy", "monai")}


__all__ = ["Done", "Options", "Outcome", "Plan", "ToolkitError", "Workspace", "plan", "run"]
