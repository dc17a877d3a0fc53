"""Connected components of a set of voxels that is seen block by block: each block its own, then joined over faces."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from toolkit.steps.connected import components, connected
from toolkit.values import runs
from toolkit.values.instances import Instances
from toolkit.values.joined import Joined
from toolkit.values.tiles import Box
from toolkit.values.voxels import Voxels

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Parts:
    """Components of the voxels of a block `core`, and the sum of the values of each."""

    core: Box
    found: Instances
    total: Ints


def parts(voxels: Voxels, values: NDArray[np.uint8]) -> Parts:
    """The components (over faces) of the voxels of a block; `values` `(P,)` are summed."""
    number = connected(voxels.start, voxels.length, voxels.shape)
    found = Instances.from_runs(voxels.shape, voxels.start, voxels.length, number)
    sums = np.add.reduceat(values, voxels.offsets[:-1], dtype=np.int64) if len(number) else number
    total = np.zeros(len(found), np.int64)
    np.add.at(total, number, sums)
    return Parts(voxels.core, found, total)


def united(fragments: Iterable[Parts], min_size: int, unit: float) -> Joined:
    """Objects of all blocks, parts that meet at a face joined; each is scored by its mean value in `unit`.

    Objects of fewer than `min_size` voxels are dropped. `fragments` is gone through twice.
    """
    size, total, seams = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], Seams()
    for part in fragments:
        seams.add(part, sum(map(len, size)))
        size.append(part.found.sizes)
        total.append(part.total)
    sizes, totals = np.concatenate(size), np.concatenate(total)
    owner = seams.components(len(sizes))
    count = int(owner.max(initial=-1)) + 1
    sizes, totals = (np.bincount(owner, weights=v, minlength=count).astype(np.int64) for v in (sizes, totals))
    large = sizes >= min_size
    place = np.where(large, np.cumsum(large) - 1, -1)
    return Joined.by(fragments, place[owner], (totals / (unit * np.maximum(sizes, 1)))[large])


class Seams:
    """The runs of components on the faces between blocks."""

    def __init__(self) -> None:
        self._ends: dict[int, list[tuple[Ints, Ints, Ints]]] = {}
        self._begins: dict[int, list[tuple[Ints, Ints, Ints]]] = {}

    def add(self, part: Parts, first: int) -> None:
        """The runs of a block; its components count from `first` on."""
        found, shape = part.found, part.found.shape
        where, last = np.unravel_index(found.start, shape), len(shape) - 1
        number, length = found.owner + first, found.length.astype(np.int64)
        for axis, place in enumerate(where):
            deep = length if axis == last else 1
            wide = np.ones_like(length) if axis == last else length
            step = int(np.prod(shape[axis + 1 :], dtype=np.int64))
            if part.core.stop[axis] < shape[axis]:
                some = place + deep == part.core.stop[axis]
                beyond = found.start + deep * step
                self._ends.setdefault(axis, []).append((beyond[some], wide[some], number[some]))
            if part.core.start[axis] > 0:
                some = place == part.core.start[axis]
                self._begins.setdefault(axis, []).append((found.start[some], wide[some], number[some]))

    def components(self, count: int) -> Ints:
        """The object of each of `count` components."""
        pairs = [np.zeros((2, 0), np.int64)]
        for axis in self._ends.keys() & self._begins.keys():
            a, b = (
                [np.concatenate([s[k] for s in side[axis]]) for k in range(3)] for side in (self._ends, self._begins)
            )
            pairs += [np.stack([a[2][i], b[2][j]]) for i, j, _ in runs.overlaps(a[0], a[1], b[0], b[1])]
        i, j = np.unique(np.concatenate(pairs, axis=1), axis=1)
        return components(i, j, count)
