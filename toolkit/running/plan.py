"""What a run will cost, before it is begun."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from toolkit.errors import InputError
from toolkit.io import Found
from toolkit.pipeline.elsewhere import Bench
from toolkit.running.one import MANY, source
from toolkit.running.options import Options
from toolkit.running.seen import described
from toolkit.values.image import Image
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
    session, here = bench.session, bench.prepared(source(one, options))
    frames = 1 if here.image.series is None else here.image.series.shape[0] // here.shape[0]
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
        image=described(here.image, here.shape, session.model.recipe.shrink, frames),
        notes=_notes(here.image, session.model.recipe.input.spacing_um),
        processes=split,
        each=each,
        disk=images * frames * prod(here.image.shape) * STORED / 2**30,
        block=max(n for b in work for n in b.core.shape),
        ndim=here.image.ndim,
    )


def peak() -> float:
    """Most main memory that this process has held, in GiB."""
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30


def _notes(image: Image, trained_um: tuple[float, ...] | None) -> tuple[str, ...]:
    """The image's own notes, and a warning if it is much finer or coarser than what the model was trained on, or a
    volume of unknown voxel size."""
    if image.ndim == 3 and not image.calibrated:
        return (*image.notes, CUBES)
    if trained_um is None or not image.calibrated:
        return image.notes
    ratio = max(max(a / b, b / a) for a, b in zip(trained_um, image.voxel_size, strict=True))
    if ratio < 1.25:
        return image.notes
    return (
        *image.notes,
        f"the model was trained at {list(trained_um)} µm per voxel and this image has {list(image.voxel_size)}",
    )
