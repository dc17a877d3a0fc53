"""The patch graph: affinities of pairs of selected patches (Eq 6), exactly, from windows computed once more."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from toolkit.api import Backend, Box, kernels
from toolkit_ppp import panes
from toolkit_ppp.bits import unpack
from toolkit_ppp.consensus import windows
from toolkit_ppp.layout import Triple, triple
from toolkit_ppp.link import Nodes, find_neighbours, lines, link
from toolkit_ppp.options import Options
from toolkit_ppp.pane import load, split
from toolkit_ppp.panes import TILE, Panes
from toolkit_ppp.patches import KERNELS, THREADS, Patches
from toolkit_ppp.selection import Selection
from toolkit_ppp.threads import run

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Edges:
    """Sums over pairs of pixels: patches `first` < `second` (raster indices of their centres in the image), `total` of
    affinities in units of 1/16384 and `count` of pairs. paff = total/(16384·count)."""

    first: Ints
    second: Ints
    total: Ints
    count: Ints

    @classmethod
    def merge(cls, parts: Iterable[Edges]) -> Edges:
        """The sums of all parts; edges in order of their ends, those without pairs left out."""
        columns: dict[str, list[Ints]] = {"first": [], "second": [], "total": [], "count": []}
        for part in parts:
            for name, found in columns.items():
                found.append(getattr(part, name))

        def column(name: str) -> Ints:
            # An image may have more edges than memory has room for twice: no column is held longer than is needed.
            return np.concatenate([np.zeros(0, np.int64), *columns.pop(name)])

        first, second = column("first"), column("second")
        by_ends = np.lexsort((second, first))
        first, second = first[by_ends], second[by_ends]
        total, count = column("total")[by_ends], column("count")[by_ends]
        del by_ends
        again = (first[1:] == first[:-1]) & (second[1:] == second[:-1])
        if again.any():
            fresh = np.append(0, np.flatnonzero(~again) + 1)
            first, second = first[fresh], second[fresh]
            total, count = np.add.reduceat(total, fresh), np.add.reduceat(count, fresh)
        some = count > 0
        if not some.all():
            first, second, total, count = first[some], second[some], total[some], count[some]
        return cls(first, second, total, count)


def cpu(patches: Patches, box: Box, origin: Triple, selection: Selection, options: Options, threads: int) -> Edges:
    """Edges of the pairs of pixels that the pixels of `box` own. `box` is in coordinates of the block, which begins at
    `origin` in the image."""

    def work(own: Box) -> Edges:
        pane = load(patches, own, options)
        centres, nodes, margin = around(selection, own.shift(origin), options)
        shift = triple(tuple(m - o for m, o in zip(margin, pane.start, strict=True)))
        link(
            pane.start, pane.stop, shift, pane.voters, windows(pane.voters), nodes,
            lines(nodes.members, triple(selection.patch)), options.paff_count == "in_range", options.self_pairs,
        )  # fmt: skip
        return undirected(centres, nodes)

    return Edges.merge(run(work, split(patches, box, threads), threads))


def cuda(patches: Patches, box: Box, origin: Triple, selection: Selection, options: Options, backend: Backend) -> Edges:
    """The same on a GPU, in halves of the box where the edges do not fit. They come back to main memory, where they are
    partitioned."""
    found: list[Edges] = []

    def work(own: Box) -> None:
        found.append(_cuda(patches, own, origin, selection, options, backend))

    kernels.in_parts(work, [box], _halves)
    return Edges.merge(found)


def _halves(box: Box) -> list[Box]:
    """The box cut across its longest axis; itself if it is one pixel."""
    axis = max(range(3), key=lambda a: box.shape[a])
    middle = (box.start[axis] + box.stop[axis]) // 2
    low = tuple(middle if a == axis else n for a, n in enumerate(box.stop))
    high = tuple(middle if a == axis else n for a, n in enumerate(box.start))
    return [half for half in (Box(box.start, low), Box(high, box.stop)) if half.size]


def _cuda(
    patches: Patches, box: Box, origin: Triple, selection: Selection, options: Options, backend: Backend
) -> Edges:
    xp = backend.xp
    patch, shape = patches.layout.patch, box.shape
    centres, nodes, margin = around(selection, box.shift(origin), options)
    rows, where, members, starts, neighbours = map(xp.asarray, nodes[:5])
    total, pairs = xp.zeros(len(neighbours), np.int64), xp.zeros(len(neighbours), np.int64)
    held = xp.zeros(shape, np.uint8)
    module = kernels.load(KERNELS / "graph.cu")
    module.launch(
        "mark", -(-members.size // THREADS), THREADS,
        where, members, np.int64(len(where)), *margin, *shape, *patch, held,
    )  # fmt: skip
    shift = [m - n for m, n in zip(margin, box.start, strict=True)]

    def use(found: Panes) -> None:
        module.launch(
            "link", len(found.tiles) * TILE, THREADS, found.tiles, found.masks, found.affinities, found.width,
            rows, where, members, starts, neighbours, *rows.shape, *shift, *nodes.reach, *patch,
            options.paff_count == "in_range", options.self_pairs, total, pairs,
        )  # fmt: skip

    panes.fill(patches, box, held, options, backend, use)
    return undirected(centres, nodes._replace(total=backend.to_numpy(total), pairs=backend.to_numpy(pairs)))


def around(selection: Selection, box: Box, options: Options) -> tuple[Ints, Nodes, Triple]:
    """The nodes that matter for pairs of pixels that begin in `box` (three axes, image coordinates): their names, the
    nodes, and the margin between `box` and their frame."""
    patch, shape = triple(selection.patch), triple(selection.shape)
    wide = options.paff_count == "in_range"
    reach = triple(tuple(n - 1 + (wide and n > 1) for n in patch))
    margin = triple(tuple(r + n // 2 for r, n in zip(reach, patch, strict=True)))
    outer = box.grow(margin)
    where = np.stack(np.unravel_index(selection.centres, shape), axis=1)
    near = np.all((where >= outer.start) & (where < outer.stop), axis=1)
    where = where[near] - np.array(outer.start)
    rows = np.full(outer.shape, -1, np.int32)
    rows[tuple(where.T)] = np.arange(len(where), dtype=np.int32)
    far = triple(tuple(r + n - 1 for r, n in zip(reach, patch, strict=True)))
    starts = np.zeros(len(where) + 1, np.int64)
    find_neighbours(rows, where, far, starts, np.empty(0, np.int32))
    starts = np.cumsum(starts)
    neighbours = np.empty(starts[-1], np.int32)
    find_neighbours(rows, where, far, starts.copy(), neighbours)
    members = unpack(selection.members[near], int(np.prod(patch))).view(np.uint8)
    total, count = np.zeros(len(neighbours), np.int64), np.zeros(len(neighbours), np.int64)
    return selection.centres[near], Nodes(rows, where, members, starts, neighbours, reach, total, count), margin


def undirected(centres: Ints, nodes: Nodes) -> Edges:
    """The edges, from sums that stand with both ends."""
    some = nodes.pairs > 0
    source = np.repeat(np.arange(len(centres)), np.diff(nodes.starts))[some]
    a, b = centres[source], centres[nodes.neighbours[some]]
    return Edges(np.minimum(a, b), np.maximum(a, b), nodes.total[some], nodes.pairs[some])
