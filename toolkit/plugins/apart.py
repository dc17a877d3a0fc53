"""Voxels that are far from each other are nothing to each other: a block settles the groups of near ones that begin in
it, wherever they go on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import groupby
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.gpu.backend import Backend
from toolkit.plugins.passes import Pass
from toolkit.steps.connected import components, connected, near, rim
from toolkit.values.instances import Instances
from toolkit.values.joined import Joined
from toolkit.values.tiles import Box
from toolkit.values.voxels import Voxels

Ints = NDArray[np.int64]
Settle = Callable[[Voxels, Backend], Instances]
"""The objects of some groups, which does not depend on what other groups there are."""


@dataclass(frozen=True, eq=False)
class Rim:
    """Groups of near voxels of a block that may go on in another block: for each its first voxel and its box
    `(G, 2, D)`, and the runs near the border of the block with the number of their group. `begin`: where the block
    does."""

    shape: tuple[int, ...]
    begin: tuple[int, ...]
    first: Ints
    boxes: Ints
    start: Ints
    length: Ints
    number: Ints


@dataclass(frozen=True, eq=False)
class Crossing:
    """The groups of all voxels that lie in several blocks, or could: first voxel, box, ascending."""

    shape: tuple[int, ...]
    first: Ints
    boxes: Ints

    def window(self, box: Box) -> Crossing:
        """Those that begin in `box`."""
        at = np.stack(np.unravel_index(self.first, self.shape), axis=1)
        some = ((at >= box.start) & (at < box.stop)).all(1)
        return Crossing(self.shape, self.first[some], self.boxes[some])

    def around(self, core: Box) -> Box:
        """`core` and the boxes of all groups."""
        low, high = self.boxes[:, 0].min(0, initial=2**62), self.boxes[:, 1].max(0, initial=0)
        return Box(tuple(np.minimum(core.start, low).tolist()), tuple(np.maximum(core.stop, high).tolist()))


def passes(settle: Settle, reach: int) -> tuple[Pass, ...]:
    """Groups of voxels that lie within `reach` steps of each other are settled one by one; what goes on in another
    block is found by a pass before."""

    def border(piece: Voxels, state: None, backend: Backend) -> Rim:
        return rims(piece, reach)

    def cross(parts: Iterable[Rim], state: None, backend: Backend) -> Crossing:
        return crossing(parts, reach)

    def objects(piece: Voxels, state: Crossing, backend: Backend) -> Instances:
        return settle(own(piece, state, reach), backend)

    def join(parts: Iterable[Instances], state: Crossing, backend: Backend) -> Joined:
        return Joined.by(parts)

    return (
        Pass(border, cross, Rim, state=Crossing),
        Pass(objects, join, Instances, around=Crossing.around),
    )


def rims(piece: Voxels, reach: int) -> Rim:
    """The groups of a block that come near its border inside the image."""
    shape, ndim = piece.shape, len(piece.shape)
    border = rim(piece.start, piece.length, shape, piece.core, reach)
    if not border.any():
        none = np.zeros(0, np.int64)
        return Rim(shape, piece.core.start, none, np.zeros((0, 2, ndim), np.int64), none, none, none)
    label = connected(piece.start, piece.length, shape, reach)
    names, number = np.unique(label[border], return_inverse=True)
    mine = np.isin(label, names)
    group = np.searchsorted(names, label[mine])
    parts = Instances.from_runs(shape, piece.start[mine], piece.length[mine], group)
    # Canonical order is that of first voxels, as that of labels is.
    first = parts.start[parts.offsets[:-1]]
    return Rim(shape, piece.core.start, first, parts.boxes, piece.start[border], piece.length[border], number)


def crossing(parts: Iterable[Rim], reach: int) -> Crossing:
    """The groups of all blocks, those that go on in each other joined.

    In raster order, which is that of a run, runs are held of one layer of blocks, and of what is near it in the one
    before; in any other all of them.
    """
    begins = [part.begin[0] for part in parts]
    layers: Iterable[tuple[int, Iterable[Rim]]] = [(min(begins), parts)]
    if begins == sorted(begins):
        layers = groupby(parts, lambda part: part.begin[0])
    firsts, boxed, pairs, count = list[Ints](), list[Ints](), list[Ints](), 0
    held = np.zeros((3, 0), np.int64)
    for begin, layer in layers:
        runs = [held]
        for part in layer:
            shape = part.shape
            runs.append(np.stack([part.start, part.length, part.number + count]))
            firsts.append(part.first)
            boxed.append(part.boxes)
            count += len(part.first)
        held = np.concatenate(runs, axis=1)
        held = held[:, held[0] // prod(shape[1:]) >= begin - reach]
        meeting = held[2][np.stack(near(held[0], held[1], shape, reach))]
        pairs.append(np.unique(meeting[:, meeting[0] != meeting[1]], axis=1))
    first, boxes = np.concatenate(firsts), np.concatenate(boxed)
    i, j = np.concatenate(pairs, axis=1)
    label = components(i, j, count)
    count = int(label.max(initial=-1)) + 1
    head = np.full(count, np.iinfo(np.int64).max)
    box = np.stack([np.full((count, len(shape)), head.max(initial=0)), np.zeros((count, len(shape)), np.int64)], axis=1)
    np.minimum.at(head, label, first)
    np.minimum.at(box[:, 0], label, boxes[:, 0])
    np.maximum.at(box[:, 1], label, boxes[:, 1])
    order = np.argsort(head)
    return Crossing(shape, head[order], box[order])


def own(piece: Voxels, state: Crossing, reach: int) -> Voxels:
    """Of a block and what lies around it, the groups that begin in the block."""
    if piece.core == Box.whole(piece.shape):
        return piece
    label = connected(piece.start, piece.length, piece.shape, reach)
    count = int(label.max(initial=-1)) + 1
    outside = np.zeros(count, bool)
    outside[label[rim(piece.start, piece.length, piece.shape, piece.core, reach)]] = True
    _, head = np.unique(label, return_index=True)
    mine = ~outside | np.isin(piece.start[head], state.first)
    if mine.all():
        return piece
    chosen: Any = np.repeat(mine[label], piece.length)
    return replace(piece.select(chosen), box=piece.box)
