"""Parts of an image that are left out: windows of which nothing is asked and in which nothing is found."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from toolkit.errors import UsageError
from toolkit.steps.within import box
from toolkit.values.instances import Instances
from toolkit.values.tiles import Box, Lattice

OPTION = "--skip-block"


def hulls(texts: Iterable[str], lattice: Lattice, shape: Sequence[int], name: str) -> list[Box]:
    """Boxes of an image of `shape` in what the network sees of it: the windows of which they meet the cores.

    Raises `InputError` for a box outside of the image, `UsageError` if nothing is left.
    """
    found = []
    for text in texts:
        part = box(text, shape, name, OPTION)
        scale = list(zip(lattice.shape, shape, strict=True))
        low = tuple(a * n // s for a, (n, s) in zip(part.start, scale, strict=True))
        high = tuple(max(a + 1, -(-b * n // s)) for a, b, (n, s) in zip(low, part.stop, scale, strict=True))
        cores = [lattice.numbered(number).core for number in _ends(lattice, Box(low, high))]
        found.append(Box(cores[0].start, cores[-1].stop))
    if len(numbers(found, lattice)) == sum(1 for _ in lattice.windows()):
        raise UsageError("nothing of the image is left", f"{name}, {OPTION}", "leave out less")
    return found


def numbers(parts: Iterable[Box], lattice: Lattice) -> tuple[int, ...]:
    """Which windows have cores that meet some boxes."""
    return tuple(sorted({number for part in parts for number in lattice.numbers(part)}))


def said(part: Box, lattice: Lattice, shape: Sequence[int]) -> str:
    """Cores of windows as a box of the image of `shape`, which `hulls` takes for them."""
    spans = []
    for a, b, n, s in zip(part.start, part.stop, lattice.shape, shape, strict=True):
        first = -(-a * s // n)
        spans.append(f"{first}:{max(first + 1, b * s // n)}")
    return ",".join(spans)


def without(found: Instances, parts: Iterable[Box]) -> Instances:
    """The objects as far as they lie outside of some boxes."""
    whole = Box.whole(found.shape)
    for part in parts:
        runs = [found.moved(whole, found.shape, rest) for rest in _around(part, found.shape)]
        none = np.zeros(0, np.int64)
        start, length, owner = (np.concatenate([none, *(run[k] for run in runs)]) for k in range(3))
        found = Instances.from_runs(found.shape, start, length, owner, found.scores, found.attributes)
    return found


def _ends(lattice: Lattice, part: Box) -> tuple[int, int]:
    met = lattice.numbers(part)
    return met[0], met[-1]


def _around(part: Box, shape: Sequence[int]) -> Iterator[Box]:
    """Boxes that share no voxel and are all of an image but `part`."""
    low, high = [0] * len(shape), list(shape)
    for axis, (a, b) in enumerate(zip(part.start, part.stop, strict=True)):
        yield from (rest for rest in (
            Box(tuple(low), (*high[:axis], a, *high[axis + 1 :])),
            Box((*low[:axis], b, *low[axis + 1 :]), tuple(high)),
        ) if rest.size)  # fmt: skip
        low[axis], high[axis] = a, b
