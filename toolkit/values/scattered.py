"""Objects that lie in files, block by block, and are read as far as somebody asks."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.values import runs
from toolkit.values.attributes import Attributes
from toolkit.values.inside import Inside, Ints, Runs
from toolkit.values.instances import Instances
from toolkit.values.joined import Joined, found
from toolkit.values.tiles import Box

ROOM = 2**25
"""Bytes of parts that are kept in memory."""
MANY = 2**18
"""Runs of objects that are looked at at once: to put them in order takes about a hundred bytes for each."""


class Near:
    """Sets of parts by name, as `read` gives them; the ones that were read last stay at hand."""

    def __init__(self, read: Callable[[Any], Any]) -> None:
        self._read = read
        self._held: dict[Any, Instances] = {}

    def __call__(self, name: Any) -> Instances:
        held = self._held
        held[name] = held.pop(name) if name in held else found(self._read(name))
        while len(held) > 1 and sum(24 * len(part.start) for part in held.values()) > ROOM:
            held.pop(next(iter(held)))
        return held[name]


@dataclass(frozen=True, eq=False)
class Scattered:
    """The objects of `joined`; `read(names[k])` gives set k of their parts. To those who write and measure they are
    what `Instances` are, but no more of their voxels is in memory than that of some blocks."""

    joined: Joined
    read: Callable[[Any], Instances]
    names: Sequence[Any]

    def __len__(self) -> int:
        return len(self.joined)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.joined.shape

    @property
    def scores(self) -> NDArray[np.float32]:
        return self.joined.scores

    @property
    def attributes(self) -> Attributes:
        return self.joined.attributes

    @property
    def sizes(self) -> Ints:
        return self.joined.sizes

    @property
    def boxes(self) -> Ints:
        return self.joined.boxes

    @property
    def centroids(self) -> NDArray[np.float64]:
        return self.joined.moments / np.maximum(self.sizes, 1)[:, None]

    @property
    def label_dtype(self) -> type[np.uint16] | type[np.uint32]:
        return np.uint16 if len(self) < 2**16 else np.uint32

    @property
    def layer_of(self) -> Ints:
        return np.zeros(len(self), np.int64)

    def overlapping_pairs(self) -> tuple[Ints, Ints, Ints]:
        none = np.zeros(0, np.int64)
        return none, none, none

    def select(self, keep: NDArray[np.bool_]) -> Scattered:
        """The objects where `keep` is true."""
        return Scattered(self.joined.select(keep), self.read, self.names)

    def whole(self) -> Instances:
        """The same objects in memory."""
        return self.joined.whole(map(self.read, self.names))

    def within(self, box: Box) -> Runs:
        """As of `Instances`."""
        start, length, owner = runs.unite(*self.inside(box).joined(self.read), self.shape[-1])
        order = np.argsort(start, kind="stable")
        return start[order], length[order], owner[order]

    def inside(self, box: Box) -> Inside:
        """What is to be read to know the runs in `box`."""
        met = self._meeting(box).tolist()
        start, length, part = self.joined.more.within(box)
        owner = self.joined.owners(len(self.names))[part] if len(part) else part
        some = owner >= 0
        sets = tuple((self.names[k], self.joined.owners(k)) for k in met if k < len(self.names))
        return Inside(box, sets, (start[some], length[some], owner[some]))

    def sets(self) -> Iterator[Runs]:
        """All runs `(start, length, index of the object)`, those of a block at once; a run may be in pieces."""
        for number in range(len(self.joined.extents)):
            part = self._part(number)
            owner = self.joined.owners(number)[part.owner]
            some = owner >= 0
            yield part.start[some], part.length[some].astype(np.int64), owner[some]

    def groups(self) -> Iterator[Instances]:
        """The objects in their order, some at a time."""
        for span in runs.chunks(self.joined.runs, MANY):
            box = _hull(self.boxes[span])
            parts = []
            for number in self._meeting(box):
                owner = self.joined.owners(number)
                some = np.flatnonzero((owner >= span.start) & (owner < span.stop))
                if len(some):
                    part = self._part(number).select(some)
                    parts.append((part.start, part.length.astype(np.int64), owner[some][part.owner] - span.start))
            start, length, owner = (np.concatenate([p[k] for p in parts]) for k in range(3))
            yield Instances.from_runs(self.shape, start, length, owner, self.scores[span])

    @cached_property
    def offsets(self) -> Ints:
        """As of `Instances`."""
        counts = [np.diff(group.offsets) for group in self.groups()]
        return np.cumsum(np.concatenate([np.zeros(1, np.int64), *counts])).astype(np.int64)

    @cached_property
    def digest(self) -> str:
        """As of `Instances`."""
        found = hashlib.sha256(np.array(self.shape, np.int64).tobytes() + self.offsets.tobytes())
        for name in ("start", "length"):
            for group in self.groups():
                found.update(getattr(group, name).astype(np.int64).tobytes())
        return found.hexdigest()

    def _meeting(self, box: Box) -> NDArray[np.intp]:
        low, high = self.joined.extents[:, 0], self.joined.extents[:, 1]
        met = (np.minimum(high, box.stop) > np.maximum(low, box.start)).all(1)
        return np.flatnonzero(met)

    def _part(self, number: int) -> Instances:
        """A set of parts."""
        return self.read(self.names[number]) if number < len(self.names) else self.joined.more


Objects = Instances | Scattered


def whole(objects: Objects) -> Instances:
    """The objects in memory."""
    return objects.whole() if isinstance(objects, Scattered) else objects


def inside(objects: Objects, box: Box) -> Inside:
    """What is to be read to know the runs in `box`."""
    return objects.inside(box) if isinstance(objects, Scattered) else Inside(box, (), objects.within(box))


def reader(objects: Objects) -> Callable[[Any], Instances]:
    """How sets of their parts are read by name: of `Instances` there is one."""
    return objects.read if isinstance(objects, Scattered) else lambda _: objects


def sets(objects: Objects) -> Iterator[Runs]:
    """All runs `(start, length, index of the object)`, as many at once as are in memory together; a run may be in
    pieces."""
    if isinstance(objects, Scattered):
        yield from objects.sets()
    else:
        yield objects.start, objects.length.astype(np.int64), objects.owner


def grouped(objects: Objects) -> Iterator[Instances]:
    """The objects in their order, as many at once as are in memory together."""
    if isinstance(objects, Scattered):
        yield from objects.groups()
    else:
        yield objects


def _hull(boxes: Ints) -> Box:
    return Box(tuple(boxes[:, 0].min(0).tolist()), tuple(boxes[:, 1].max(0).tolist()))
