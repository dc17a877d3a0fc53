"""Clustering block by block: of the instances whose seeds embed themselves in it, a block settles the certain ones.

Around a block, in the space of embeddings, twice the largest reach of a seed is looked at. Pixels as near to the
edge of that as a seed reaches may belong to seeds that are not seen: they are doubtful. What remains open after that, a
chain of instances that meet across all of it, is settled in the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from toolkit.api import Backend, Box, Instances, Joined, Pass, Voxels, runs

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Settle = Callable[[Voxels, Backend], Instances]
AROUND = 2
"""Reaches of a seed that are looked at around a block."""
SLACK = 0.1
"""Voxels more, because positions are rounded."""


@dataclass(frozen=True)
class How:
    """What a clustering needs to know: length of a voxel in units of the embedding, by the number of axes; least
    seediness of a seed, least size of an instance, and `settle`, all of an image at once."""

    units: Callable[[int], tuple[float, ...]]
    seed: float
    min_size: int
    settle: Settle


@dataclass(frozen=True, eq=False)
class Lean:
    """How far the pixels of a block `core` embed themselves from where they are: least and most along each axis
    `(2, D)`, in voxels; and how far a seed reaches `(D,)`."""

    core: Box
    shape: tuple[int, ...]
    far: Floats
    radius: Floats


@dataclass(frozen=True, eq=False)
class Leaning:
    """`Lean` of all blocks: `cores` and `far` `(B, 2, D)`, `radius` `(D,)`."""

    shape: tuple[int, ...]
    cores: Ints
    far: Floats
    radius: Floats

    def region(self, core: Box) -> tuple[Floats, Floats]:
        """Where embeddings are looked at around a block: as far as one likes beyond the image."""
        room = AROUND * self.radius
        low = np.where(np.array(core.start) > 0, np.array(core.start) - room, -np.inf)
        return low, np.where(np.array(core.stop) < self.shape, np.array(core.stop) + room, np.inf)

    def sources(self, core: Box) -> tuple[Ints, Ints]:
        """Boxes in the blocks `(B, D)`, `(B, D)` whose pixels may embed themselves there; some are empty."""
        low, high = self.region(core)
        first = np.maximum(self.cores[:, 0], np.floor(low - self.far[:, 1]))
        last = np.minimum(self.cores[:, 1], np.ceil(high - self.far[:, 0]) + 1)
        return first.astype(np.int64), last.astype(np.int64)

    def window(self, core: Box) -> Leaning:
        """The blocks that matter for a block."""
        first, last = self.sources(core)
        some = (last > first).all(1)
        return replace(self, cores=self.cores[some], far=self.far[some])

    def around(self, core: Box) -> Box:
        """What must be read for a block."""
        first, last = self.sources(core)
        low, high = first.min(0, initial=2**62), last.max(0, initial=0)
        return Box(tuple(np.minimum(core.start, low).tolist()), tuple(np.maximum(core.stop, high).tolist()))


@dataclass(frozen=True, eq=False)
class Clustered:
    """Instances that are certain, whatever their size, and the pixels that open seeds may take, with what is known of
    them; `open` says which of them are seeds."""

    found: Instances
    rest: Voxels


def passes(how: How) -> tuple[Pass, ...]:
    """How far embeddings and seeds reach; then the instances."""

    def lean(piece: Voxels, state: None, backend: Backend) -> Lean:
        return leant(piece, how)

    def gather(parts: Iterable[Lean], state: None, backend: Backend) -> Leaning:
        all_ = list(parts)
        cores = np.array([(part.core.start, part.core.stop) for part in all_])
        return Leaning(all_[0].shape, cores, np.stack([p.far for p in all_]), np.max([p.radius for p in all_], axis=0))

    def settle(piece: Voxels, state: Leaning, backend: Backend) -> Clustered:
        return clustered(piece, state, how, backend)

    def join(parts: Iterable[Clustered], state: Leaning, backend: Backend) -> Joined:
        return joined(parts, how, backend)

    return (
        Pass(lean, gather, Lean, state=Leaning),
        Pass(settle, join, Clustered, around=Leaning.around),
    )


def leant(piece: Voxels, how: How) -> Lean:
    """What others must know of a block."""
    ndim, core = len(piece.shape), piece.core
    step = np.array(how.units(ndim))
    far, radius = np.zeros((2, ndim)), np.zeros(ndim)
    if len(piece) and core != Box.whole(piece.shape):
        away = piece["offset"] / step
        far = np.stack([away.min(0), away.max(0)])
        seeds = piece["seediness"] >= np.float32(how.seed)
        inverse = piece["inverse"][seeds].min(0, initial=np.float32(np.inf)).astype(np.float64)
        radius = np.minimum(np.sqrt(np.log(2) / inverse) / step, piece.shape) + SLACK
    return Lean(core, piece.shape, far, radius)


def clustered(piece: Voxels, state: Leaning, how: How, backend: Backend) -> Clustered:
    """The certain instances of a block, and what remains open there."""
    if piece.core == Box.whole(piece.shape):
        found = how.settle(piece, backend)
        return Clustered(found, _open(piece, np.zeros(len(piece), bool), np.zeros(len(piece), bool)))
    from toolkit_embedseg.cells import coordinates
    from toolkit_embedseg.certain import certain
    from toolkit_embedseg.few import spread
    from toolkit_embedseg.greedy import surest

    low, high = state.region(piece.core)
    piece = piece.select(_within(piece, how, low, high))
    origin = np.maximum(np.floor(low), 0).astype(np.int64)
    extent = np.minimum(np.ceil(high), piece.shape).astype(np.int64) - origin
    voxel, offset, inverse, step, _ = spread(
        piece.start,
        piece.length,
        piece["offset"],
        piece["inverse"],
        np.array(how.units(len(low))),
        piece.shape,
        coordinates,
    )
    voxel[:, 3 - len(origin) :] -= origin.astype(np.int32)
    sure = _within(piece, how, low + state.radius, high - state.radius)
    mine = _within(piece, how, *_edges(piece.core, piece.shape))
    seeds = surest(piece["seediness"], how.seed)
    room = np.array([1] * (3 - len(extent)) + list(extent))
    label, chosen, open_, rest = certain(voxel, offset, inverse, step, room, seeds, ~sure, mine)
    own = np.append(mine[chosen], False)
    found = piece.labelled(np.where(own[label], label, -1), piece["seediness"][chosen])
    return Clustered(found, _open(piece, rest, open_))


def joined(parts: Iterable[Clustered], how: How, backend: Backend) -> Joined:
    """All instances: the certain ones, and those of what remained open."""
    rest: list[Voxels] = []
    large, scores = [np.zeros(0, bool)], [np.zeros(0, np.float32)]
    shape: tuple[int, ...] = ()
    for part in parts:
        shape = part.found.shape
        large.append(part.found.sizes >= how.min_size)
        scores.append(part.found.scores)
        rest += [part.rest] if len(part.rest) else []
    kept = np.concatenate(large)
    more = _settled(rest, parts, how, backend) if rest else Instances.empty(shape)
    owner = np.concatenate([np.where(kept, np.cumsum(kept) - 1, -1), int(kept.sum()) + np.arange(len(more))])
    return Joined.by(parts, owner, np.concatenate([np.concatenate(scores)[kept], more.scores]), more)


def _settled(rest: list[Voxels], parts: Iterable[Clustered], how: How, backend: Backend) -> Instances:
    """The instances of what remained open: of pixels that nobody has taken by now."""
    index = np.concatenate([r.index for r in rest])
    index, first = np.unique(index, return_index=True)
    values = {name: np.concatenate([r[name] for r in rest])[first] for name in rest[0].values}
    seeds = np.concatenate([r.index[r["open"]] for r in rest])
    values["open"] = np.isin(index, seeds)
    free = np.ones(len(index), bool)
    for part in parts:
        order = np.argsort(part.found.start)
        start, stop = part.found.start[order], (part.found.start + part.found.length)[order]
        at = np.searchsorted(start, index, side="right") - 1
        free &= (at < 0) | (index >= stop[at]) if len(start) else True
    start, length, _ = runs.of_voxels(index[free], np.zeros(int(free.sum()), np.int8), rest[0].shape[-1])
    box = Box.whole(rest[0].shape)
    return how.settle(
        Voxels(rest[0].shape, box, box, start, length, {name: v[free] for name, v in values.items()}), backend
    )


def _open(piece: Voxels, rest: NDArray[np.bool_], open_: NDArray[np.bool_]) -> Voxels:
    found = piece.select(rest)
    return found.valued({**found.values, "open": open_[rest]})


def _within(piece: Voxels, how: How, low: Floats, high: Floats) -> NDArray[np.bool_]:
    """Which pixels embed themselves between two corners."""
    from toolkit_embedseg.cells import within

    step, extent, found = np.array(how.units(len(low))), np.array(piece.shape), np.empty(len(piece), np.bool_)
    within(piece.start, piece.length, extent, piece["offset"], step, low, high, found)
    return found


def _edges(core: Box, shape: tuple[int, ...]) -> tuple[Floats, Floats]:
    """The corners of a block, which has all that lies beyond the image, too."""
    low = np.where(np.array(core.start) > 0, np.array(core.start, float), -np.inf)
    return low, np.where(np.array(core.stop) < shape, np.array(core.stop, float), np.inf)
