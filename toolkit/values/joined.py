"""Objects whose voxels lie in parts, block by block: what is known of each, and whose each part is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.values import attributes as about
from toolkit.values.attributes import Attributes
from toolkit.values.instances import Instances

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Joined:
    """N objects in an image of `shape` `(Z)YX` that share no voxel, in canonical order, and the parts they consist of.

    The parts are `Instances` of the image, one set for each block: those of set k belong to the objects
    `of[first[k]:first[k + 1]]`, an index from 0 on, or −1 for a part that is dropped, and lie in the box `extents[k]`.
    The last set is `more`, parts that no block has, if there are any. `sizes`, `boxes` `(N, 2, D)` and `moments`
    `(N, D)` are as in `Instances`; `runs` are those of all parts of an object.
    """

    shape: tuple[int, ...]
    first: Ints
    of: Ints
    extents: Ints
    scores: NDArray[np.float32]
    sizes: Ints
    boxes: Ints
    moments: NDArray[np.float64]
    runs: Ints
    more: Instances
    attributes: Attributes

    @classmethod
    def by(
        cls,
        parts: Iterable[Any],
        owner: Ints | None = None,
        scores: NDArray[Any] | None = None,
        more: Instances | None = None,
    ) -> Joined:
        """Of at least one set of parts, gone through twice: `Instances`, or what has some as `found`. `owner`: the
        object of each part, those of `more` included, counted from 0, or −1; `scores`: of the objects. By default each
        part is one."""
        sets, rows, said, alike = [0], [], [], []
        shape: tuple[int, ...] = ()
        for part in _sets(parts, more):
            shape = part.shape
            heads = part.start[part.offsets[:-1]]
            rows.append((heads, part.sizes, part.boxes, part.moments, np.diff(part.offsets)))
            sets.append(sets[-1] + len(part))
            said.append((len(part), part.attributes))
            alike.append(part.scores)
        heads, sizes, boxes, moments, runs = (np.concatenate([r[k] for r in rows]) for k in range(5))
        alone = owner is None
        owner = np.arange(len(heads)) if owner is None else owner
        count = int(owner.max(initial=-1)) + 1
        some, mine = owner >= 0, owner[owner >= 0]
        head = np.full(count, np.iinfo(np.int64).max)
        low, high = np.full((count, len(shape)), head.max(initial=0)), np.zeros((count, len(shape)), np.int64)
        np.minimum.at(head, mine, heads[some])
        np.minimum.at(low, mine, boxes[some, 0])
        np.maximum.at(high, mine, boxes[some, 1])
        size, run = (np.bincount(mine, v[some], count).astype(np.int64) for v in (sizes, runs))
        moment = np.stack([np.bincount(mine, v, count).astype(np.float64) for v in moments[some].T], axis=1)
        score = np.concatenate(alike) if scores is None else np.asarray(scores, np.float32)
        order = _ordered(_sets(parts, more), owner, head, size, score, shape)
        place = np.full(count + 1, -1)
        place[order] = np.arange(count)
        return cls(
            shape, np.array(sets), place[owner], np.stack([_extent(r[2]) for r in rows]), score[order], size[order],
            np.stack([low[order], high[order]], axis=1), moment[order], run[order],
            Instances.empty(shape) if more is None else more,
            about.picked(about.joined(said) if alone else {}, order),
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self.scores)

    def select(self, keep: NDArray[np.bool_]) -> Joined:
        """The objects where `keep` is true."""
        place = np.append(np.where(keep, np.cumsum(keep) - 1, -1), -1)
        fields = {name: getattr(self, name)[keep] for name in ("scores", "sizes", "boxes", "moments", "runs")}
        kept = about.picked(self.attributes, np.flatnonzero(keep))
        return replace(self, of=place[self.of], attributes=kept, **fields)

    def owners(self, number: int) -> Ints:
        """The objects of the parts of a set."""
        return self.of[self.first[number] : self.first[number + 1]]

    def whole(self, parts: Iterable[Any]) -> Instances:
        """The objects, all in memory."""
        sets = list(_sets(parts, self.more))
        if len(sets) == 1 and np.array_equal(self.of, np.arange(len(self))):
            return replace(sets[0], scores=self.scores)
        start, length = (np.concatenate([getattr(p, name) for p in sets]) for name in ("start", "length"))
        owner = np.concatenate([self.owners(k)[p.owner] for k, p in enumerate(sets)])
        some = owner >= 0
        return Instances.from_runs(
            self.shape, start[some], length[some].astype(np.int64), owner[some], self.scores, self.attributes
        )


def found(part: Any) -> Instances:
    """The objects of a set of parts."""
    inner: Instances = getattr(part, "found", part)
    return inner


def _sets(parts: Iterable[Any], more: Instances | None) -> Iterator[Instances]:
    yield from map(found, parts)
    if more is not None and len(more):
        yield more


def _extent(boxes: Ints) -> Ints:
    """The box of all boxes."""
    if not len(boxes):
        return np.zeros(boxes.shape[1:], np.int64)
    return np.stack([boxes[:, 0].min(0), boxes[:, 1].max(0)])


def _ordered(
    parts: Iterable[Instances], owner: Ints, head: Ints, size: Ints, scores: NDArray[Any], shape: tuple[int, ...]
) -> Ints:
    """The canonical order; runs are looked at where first voxel and size are equal."""
    order = np.lexsort((size, head))
    same = (np.diff(head[order]) == 0) & (np.diff(size[order]) == 0)
    tied = np.zeros(len(order), bool)
    tied[1:] |= same
    tied[:-1] |= same
    if not tied.any():
        return order
    names = np.sort(order[tied])
    start, length, mine, at = [], [], [], 0
    for part in parts:
        of = owner[at : at + len(part)][part.owner]
        at += len(part)
        some = np.isin(of, names)
        start.append(part.start[some])
        length.append(part.length[some].astype(np.int64))
        mine.append(np.searchsorted(names, of[some]))
    equal = Instances.from_runs(
        shape, np.concatenate(start), np.concatenate(length), np.concatenate(mine), scores[names], {"name": names}
    )
    order[tied] = equal.attributes["name"]
    return order
