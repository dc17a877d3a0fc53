"""What a run will cost, before it is begun."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path

from toolkit.errors import InputError
from toolkit.io import Found
from toolkit.pipeline.elsewhere import Bench
from toolkit.pipeline.look import rescaling
from toolkit.running.one import MANY, source
from toolkit.running.options import Options
from toolkit.running.seen import described
from toolkit.steps.sizes import Diameter
from toolkit.values.image import Image
from toolkit.values.rescaling import Rescaling
from toolkit.values.tiles import blocks

STORED = 0.25
"""Bytes that the results take for each voxel: labels twice, compressed, and a table. Measured: .05 to .4."""
CUBES = "the voxel size is unknown: voxels are taken for cubes; say --voxel-size where slices are thicker"


@dataclass(frozen=True)
class Plan:
    """What a run will cost, measured on one window of the first image. `gigabytes` are those of all `processes`, `disk`
    those of the results; `block` is the longest side of a block in voxels."""

    images: int
    blocks: int
    windows: int
    seconds: float
    gigabytes: float
    first: str
    image: str
    """What is seen of the first image."""
    notes: tuple[str, ...]
    path: Path
    sized: Rescaling
    """Where the first image is, and at what size it is seen."""
    processes: int = 1
    each: float = 0.0
    disk: float = 0.0
    block: int = 1
    ndim: int = 2


def plan(found: Sequence[Found], bench: Bench, options: Options) -> Plan:
    """Open the first image that can be read, run one window of it, and say what all of it will cost. The image stays on
    the `bench`, for the run.

    Raises the `InputError` of the last image if none can be read.
    """
    error: InputError | None = None
    for one in found:
        try:
            return _measured(one, len(found), bench, options)
        except InputError as reason:
            error = reason
    assert error is not None, "there is at least one input"
    raise error


def _measured(one: Found, images: int, bench: Bench, options: Options) -> Plan:
    session, where = bench.session, source(one, options)
    original = where.read()
    sized = one.rescaling or rescaling(session, original, Diameter.parse(options.diameter))
    here = bench.prepared(replace(where, by=sized.by), None, original)
    frames = 1 if original.series is None else original.series.shape[0] // original.shape[0]
    lattice = session.lattice(here)
    work = blocks(lattice, options.block)
    windows = sum(1 for _ in lattice.windows())
    for _ in range(2 if images * frames * windows >= MANY else 1):  # the first window warms up, where that counts
        began = time.perf_counter()
        for _ in session.kept(here, [0]):
            pass
        pace = time.perf_counter() - began
    halo = session.model.recipe.postprocess.halo(here.image.ndim)
    voxels = max(b.core.grow(halo, here.image.shape).size for b in work)
    heads = 4 * sum(head.channels for head in session.model.heads) * voxels
    split = min(options.workers, max(images, len(work)))
    each = peak() + 2 * heads / 2**30
    return Plan(
        images=images,
        blocks=len(work),
        windows=windows,
        seconds=images * frames * windows * pace / split,
        gigabytes=split * each,
        first=one.stem,
        image=described(original, here.image.seen, frames),
        notes=_notes(here.image),
        path=one.path,
        sized=sized,
        processes=split,
        each=each,
        disk=images * frames * prod(original.shape) * STORED / 2**30,
        block=max(n for b in work for n in b.core.shape),
        ndim=here.image.ndim,
    )


def peak() -> float:
    """Most main memory that this process has held, in GiB."""
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30


def _notes(image: Image) -> tuple[str, ...]:
    """The image's own notes, and a warning of a volume of unknown voxel size."""
    return (*image.notes, CUBES) if image.ndim == 3 and not image.calibrated else image.notes
