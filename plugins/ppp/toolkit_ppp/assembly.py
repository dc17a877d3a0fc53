"""The straight line from patches to instances, cut where the whole image must be seen at once.

scores of a block → selection for the image → edges of a block → instances of the image
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.api import Backend, Box, Instances, Voxels, kernels
from toolkit_ppp import graph, rank
from toolkit_ppp.bits import pack
from toolkit_ppp.cover import cover
from toolkit_ppp.graph import Edges
from toolkit_ppp.joined import Graph
from toolkit_ppp.label import label
from toolkit_ppp.layout import triple
from toolkit_ppp.options import Options
from toolkit_ppp.partition import partition
from toolkit_ppp.patches import Patches, members
from toolkit_ppp.scored import Candidates, Scored
from toolkit_ppp.selection import Selection
from toolkit_ppp.thin import thin
from toolkit_ppp.threads import default_threads

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Linked:
    """The edges that the pixels of a block's core own, and the probabilities (n, C) of the selected patches there."""

    edges: Edges
    centres: Ints
    values: NDArray[np.uint8]


def scored(piece: Voxels, patches: Patches, options: Options, backend: Backend, threads: int | None = None) -> Scored:
    """First pass: the score of each patch (Eqs 1–5)."""
    core = piece.core.relative_to(piece.box)
    around = _three(core.grow(options.radius, piece.box.shape))
    with kernels.on(backend):
        if backend.on_gpu:
            agreement = rank.cuda(patches, around, options, backend)
        else:
            agreement = rank.cpu(patches, around, options, threads or default_threads())
        mine = _within(patches, _three(core))
        here = backend.to_numpy(mine)
        # Codes are most of what is held: they are read where they are, and only what is made of them is cut out.
        bits, covers = members(patches.codes, backend)[here], None
        if "covers" in piece.values:
            covers = piece["covers"][patches.which[here]] & pack(backend.to_numpy(patches.codes[mine] >= -256))
        return Scored(
            piece.core,
            piece.shape,
            _in_image(patches, mine, piece, backend),
            backend.to_numpy(agreement[mine]),
            backend.to_numpy(rank.informative_pairs(patches.codes)[mine]),
            bits,
            covers,
            np.packbits(backend.to_numpy(patches.inside[_three(core).slices])),
        )


def selected(parts: Iterable[Scored], options: Options) -> Selection:
    """Rank all patches of the image, cover its foreground, thin out (paper, 2.1)."""
    found = Candidates.of(list(parts) if isinstance(parts, Iterator) else parts)
    ranked = rank.order(found.agreement, found.pairs)
    nodes, bits = np.arange(len(found.centres)), None
    if options.select:
        patch, volume, covers = triple(options.patch), found.inside.reshape(triple(found.shape)), found.covers()
        taken = cover(volume, found.centres, covers, ranked, patch, options.cover_steps)
        nodes = np.sort(thin(volume, found.centres, covers, taken, patch) if options.thin else taken)
        bits = None if found.apart else covers[nodes]
        del covers
    places = np.empty(len(ranked), np.int64)
    places[ranked] = np.arange(len(ranked))
    scores = found.agreement[nodes] / (16384.0 * np.maximum(found.pairs[nodes], 1))
    centres = found.centres[nodes]
    bits = found.members(centres) if bits is None else bits
    return Selection(found.shape, options.patch, centres, bits, places[nodes], scores)


def linked(
    piece: Voxels,
    patches: Patches,
    selection: Selection,
    options: Options,
    backend: Backend,
    threads: int | None = None,
) -> Linked:
    """Second pass: the affinities of the selected patches (Eq 6)."""
    core = piece.core.relative_to(piece.box)
    origin = triple(piece.box.start, 0)
    with kernels.on(backend):
        if backend.on_gpu:
            edges = graph.cuda(patches, _three(core), origin, selection, options, backend)
        else:
            edges = graph.cpu(patches, _three(core), origin, selection, options, threads or default_threads())
        mine = _within(patches, _three(core))
        centres = _in_image(patches, mine, piece, backend)
        chosen = np.isin(centres, selection.centres)
        values = np.zeros((0, options.voxels), np.uint8)
        if options.overlap == "highest_probability":
            codes = patches.codes[mine[backend.asarray(chosen)]]
            values = (backend.to_numpy(codes).clip(1, 256) - 1).astype(np.uint8)
    return Linked(edges, centres[chosen], values)


def assembled(parts: Iterable[Linked], selection: Selection, options: Options) -> Instances:
    """Partition the patch graph of the image and unite the patches of each cluster."""
    parts = list(parts) if isinstance(parts, Iterator) else parts
    graph = Graph.of((part.edges for part in parts), selection.centres)
    cluster = partition(len(selection.centres), graph, options.partition)
    del graph
    values = None
    if options.overlap == "highest_probability":
        centres = np.concatenate([part.centres for part in parts])
        values = np.concatenate([part.values for part in parts])[np.argsort(centres)]
    return label(selection, cluster, values, options)


def _three(box: Box) -> Box:
    return Box(triple(box.start, 0), triple(box.stop))


def _within(patches: Patches, core: Box) -> Any:
    """Which patches are centred in `core`."""
    rows = patches.rows[core.slices]
    return rows[rows >= 0]


def _in_image(patches: Patches, which: Any, piece: Voxels, backend: Backend) -> Ints:
    """Raster indices in the image of the centres of patches."""
    where = np.stack(np.unravel_index(backend.to_numpy(patches.centres[which]), piece.box.shape))
    where += np.array(piece.box.start)[:, None]
    return np.asarray(np.ravel_multi_index(tuple(where), piece.shape), np.int64)
