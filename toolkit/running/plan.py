"""What a run will cost, before it is begun."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path

import numpy as np

from toolkit.errors import InputError
from toolkit.gpu.memory import held_by, shared_by
from toolkit.io import Found
from toolkit.pipeline.elsewhere import Bench
from toolkit.pipeline.passes import alone
from toolkit.pipeline.remarks import cubes
from toolkit.plugins import seams
from toolkit.running.one import source
from toolkit.running.options import Options
from toolkit.running.seen import described
from toolkit.running.shelved import FEW, MANY, divided
from toolkit.steps.sizes import Diameter
from toolkit.steps.void import hulls, numbers, said
from toolkit.values.fragment import Fragment
from toolkit.values.image import Image
from toolkit.values.instances import Instances
from toolkit.values.piece import Piece
from toolkit.values.rescaling import Rescaling
from toolkit.values.voxels import Voxels

STORED = 0.25
"""Bytes that the results take for each voxel: labels twice, compressed, and a table. Measured: .05 to .4."""
WRITES, MOST_WRITES = 16, 2**27
"""Bytes for each voxel, and at most, that it takes to measure and write the objects of an image in parts."""
BEGIN = 2.0
"""Seconds until a new process works: it imports what this one has."""
MOST = 90
"""Percent of the objects that count for how large objects are."""
BESIDE = 1e-7
"""Seconds for each voxel that an image is read, measured and written in. Measured: 0.6e-7 to 1.4e-7."""


@dataclass(frozen=True)
class Plan:
    """What a run will cost, measured on three windows of the first image.

    `seconds`, and those that it would take one process `alone`. `gigabytes`: of all `processes` and, if they are
    several, of the one that leads them; one more takes `each`, and what all blocks are reduced to `reduced`. `disk`:
    of the results and of what is kept until then, `kept`. `block`: the longest side of a block in voxels.
    """

    images: int
    blocks: int
    windows: int
    seconds: float
    alone: float
    gigabytes: float
    first: str
    image: str
    """What is seen of the first image."""
    notes: tuple[str, ...]
    path: Path
    sized: Rescaling
    """Where the first image is, and at what size it is seen."""
    stitched: bool = False
    """Whether objects are joined between windows or blocks by how far they are the same there."""
    processes: int = 1
    each: float = 0.0
    reduced: float = 0.0
    disk: float = 0.0
    kept: float = 0.0
    block: int = 1
    ndim: int = 2


def plan(found: Sequence[Found], bench: Bench, options: Options, image: Image | None = None) -> Plan:
    """Open the first image that can be read, run one window of it, and say what all of it will cost. The image stays on
    the `bench`, for the run. `image`: that of `found[0]`, if it is open.

    Raises the `InputError` of the last image if none can be read.
    """
    error: InputError | None = None
    for one in found:
        try:
            return _measured(one, len(found), bench, options, image if one is found[0] else None)
        except InputError as reason:
            error = reason
    assert error is not None, "there is at least one input"
    raise error


def _measured(one: Found, images: int, bench: Bench, options: Options, image: Image | None) -> Plan:
    session, where = bench.session, source(one, options)
    original = image or where.read()
    sized = one.rescaling or bench.sized(where, original, Diameter.parse(options.diameter))
    here = bench.prepared(replace(where, by=sized.by), None, original)
    frames = 1 if original.series is None else original.series.shape[0] // original.shape[0]
    lattice, postprocess = session.lattice(here), session.model.recipe.postprocess
    work = divided(lattice, options.block, postprocess)
    parts = hulls(options.skip, lattice, here.shape, here.image.name)
    void = set(numbers(parts, lattice))
    todo = [number for number in range(sum(1 for _ in lattice.windows())) if number not in void]
    windows = len(todo)
    sample = _sampled(bench, todo, images * frames * windows >= MANY)
    halo = seams.halo(postprocess, here.image.ndim)
    voxels = max(b.core.grow(halo, here.image.shape).size for b in work)
    split = min(options.workers, max(images, len(work) if len(work) > 1 else windows // MANY))
    split = max(1, split)
    size = here.image.shape
    pieces, share = sample.bytes * prod(size), voxels / prod(size)
    gathers = any(step.gathers for step in postprocess.passes())
    holds = sample.kept * prod(size) * postprocess.holds() + (pieces if gathers else 0)
    works = 2 * pieces * share + sample.kept * voxels * postprocess.works()
    if len(work) > 1 and any(step.around is not None for step in postprocess.passes()):
        block = [max(b.core.shape[axis] for b in work) for axis in range(here.image.ndim)]
        reads = [
            min(n, b + 2 * postprocess.beyond() * e) / b for n, b, e in zip(size, block, sample.extent, strict=True)
        ]
        works *= prod(reads)
    writes = min(WRITES * prod(original.shape), MOST_WRITES)
    # A reduce begins when the blocks are done, of which others may hold something; objects are written after it.
    reduced = max(0.0, holds - (0 if gathers or split > 1 else works))
    each = max(peak(), held() + max(writes, 0 if gathers else works) / 2**30)
    leads = 0.0
    if split > 1:
        leads, each = held(), max(0.0, each - shared_by(os.getpid()) / 2**30)
    network, rest = windows * sample.window + prod(size) * sample.voxel, prod(original.shape) * BESIDE
    kept = split * pieces if windows > FEW or len(work) > 1 else 0.0
    return Plan(
        images=images,
        blocks=len(work),
        windows=windows,
        seconds=images * frames * (network / split + rest) + (BEGIN if split > 1 else 0),
        alone=images * frames * (network + rest),
        gigabytes=leads + (split if images > 1 else 1) * reduced / 2**30 + split * each,
        first=one.stem,
        image=described(original, here.image.seen, frames),
        notes=(*_notes(here.image), *(f"nothing is looked for in {said(p, lattice, here.shape)}" for p in parts)),
        path=one.path,
        sized=sized,
        stitched=postprocess.stitched(windows, len(work)),
        processes=split,
        each=each,
        reduced=reduced / 2**30,
        disk=(images * frames * prod(original.shape) * STORED + kept) / 2**30,
        kept=kept / 2**30,
        block=max(n for b in work for n in b.core.shape),
        ndim=here.image.ndim,
    )


@dataclass(frozen=True)
class Sample:
    """Of some windows: seconds of the network for each, and for each voxel of the image those of the passes, the share
    that is kept, and its bytes; and how far most objects reach along each axis, in voxels."""

    window: float
    voxel: float
    kept: float
    bytes: float
    extent: tuple[float, ...]


def _sampled(bench: Bench, windows: Sequence[int], many: bool) -> Sample:
    """The first window with all passes, warmed up if there are others; where there are `many`, the middle and the last
    one, too. The run does not predict them again."""
    session = bench.session
    chosen = sorted({windows[0], windows[len(windows) // 2], windows[-1]} if many else {windows[0]})
    first = bench.ahead(chosen[:1]).kept[chosen[0]]
    if len(windows) > 1:
        alone(session.model.recipe.postprocess, first, session.backend)
    here = bench.ahead(chosen)
    found = [here.kept[number] for number in chosen]
    began = time.process_time()
    shown = [alone(session.model.recipe.postprocess, piece, session.backend) for piece in found]
    seconds, size = time.process_time() - began, sum(piece.box.size for piece in found)
    kept, held = sum(map(_voxels, found)), sum(p.nbytes for p in found)
    return Sample(here.pace, seconds / size, kept / size, held / size, _extent(shown))


def _extent(shown: Sequence[Instances]) -> tuple[float, ...]:
    """What nine of ten objects do not exceed along each axis."""
    boxes = np.concatenate([found.boxes for found in shown])
    if not len(boxes):
        return (0.0,) * len(shown[0].shape)
    return tuple(np.percentile(boxes[:, 1] - boxes[:, 0] + 1, MOST, axis=0).tolist())


def _voxels(piece: Piece) -> int:
    """How many voxels something is kept of."""
    if isinstance(piece, Fragment):
        return int(piece.instances.length.sum())
    return len(piece) if isinstance(piece, Voxels) else piece.box.size


def peak() -> float:
    """Most main memory that this process has held, in GiB."""
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30


def held() -> float:
    """Main memory that this process holds now, in GiB."""
    return held_by(os.getpid()) / 2**30 or peak()


def _notes(image: Image) -> tuple[str, ...]:
    """The image's own notes, and a warning of a volume of unknown voxel size."""
    return (*image.notes, *cubes(image))
