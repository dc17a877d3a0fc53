"""Join the instances of neighbouring blocks into objects of the whole image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from toolkit.values import attributes as about
from toolkit.values import runs
from toolkit.values.fragment import Fragment
from toolkit.values.instances import Instances

Ints = NDArray[np.int64]


def stitch(fragments: Sequence[Fragment]) -> Instances:
    """Instances of the whole image from those of its blocks, independent of the order of the blocks.

    Between two blocks instances are matched one to one by IoU ≥ .5 where both blocks look, best first (ties by block
    and id), and joined unless that would put two instances of one block into one object. Groups that touch no core are
    dropped. An object is the union of each member inside its own block's core; its score is the mean of its members'
    scores, weighted by their voxels in the core; its attributes are those of the member with most voxels there.
    """
    assert fragments, "an image has at least one block"
    fragments = sorted(fragments, key=lambda f: f.core)
    first = np.cumsum([0, *(len(f.instances) for f in fragments)])
    block = np.repeat(np.arange(len(fragments)), np.diff(first))
    group = _group([edge for a, b in _neighbours(fragments) for edge in _matches(fragments, first, a, b)], block)

    parts = [f.runs(f.core) for f in fragments]
    start, length = (np.concatenate([p[i] for p in parts]) for i in range(2))
    member = np.concatenate([p[2] + n for p, n in zip(parts, first, strict=False)])
    voxels = np.bincount(member, weights=length, minlength=len(block))
    scores = np.concatenate([f.instances.scores for f in fragments])
    total = np.bincount(group, weights=voxels, minlength=len(block))
    mean = np.bincount(group, weights=voxels * scores, minlength=len(block)) / np.maximum(total, 1)
    kept = about.joined([(len(f.instances), about.moved(f.instances.attributes, f.outer.start)) for f in fragments])
    most = np.lexsort((np.arange(len(block)), -voxels, group))
    best = np.zeros(len(block), np.int64)
    best[group[most][::-1]] = most[::-1]
    return Instances.from_runs(
        fragments[0].shape, start, length, group[member], mean, about.picked(kept, best) if kept else None
    )


def _neighbours(fragments: Sequence[Fragment]) -> Iterator[tuple[int, int]]:
    """Pairs `a < b` of fragments whose outer boxes meet."""
    order = sorted(range(len(fragments)), key=lambda k: fragments[k].outer)
    for at, a in enumerate(order):
        for b in order[at + 1 :]:
            if fragments[b].outer.start[0] >= fragments[a].outer.stop[0]:
                break
            if (fragments[a].outer & fragments[b].outer).size:
                yield min(a, b), max(a, b)


Edge = tuple[float, int, int]
"""`(−IoU, instance of the earlier block, instance of the later block)`: sorts best first, ties by block and id."""


def _matches(fragments: Sequence[Fragment], first: Ints, a: int, b: int) -> list[Edge]:
    """One-to-one matches between the instances of two blocks, best first."""
    common = fragments[a].outer & fragments[b].outer
    mine, theirs = fragments[a].runs(common), fragments[b].runs(common)
    a_size, b_size = (np.bincount(r[2], weights=r[1]).astype(int).tolist() for r in (mine, theirs))
    edges: list[Edge] = []
    for i, j, n in zip(*(x.tolist() for x in runs.shared(mine, theirs, len(fragments[b].instances))), strict=True):
        union = a_size[i] + b_size[j] - n
        if 2 * n >= union:
            edges.append((-n / union, int(first[a]) + i, int(first[b]) + j))
    taken: set[int] = set()
    kept = []
    for edge in sorted(edges):
        if taken.isdisjoint(edge[1:]):
            taken.update(edge[1:])
            kept.append(edge)
    return kept


def _group(edges: list[Edge], block: Ints) -> Ints:
    """Group of each instance; joins best edges first, never two instances of one block."""
    parent = np.arange(len(block))
    blocks = {k: {int(b)} for k, b in enumerate(block)}

    def root(k: int) -> int:
        while parent[k] != k:
            parent[k] = parent[parent[k]]
            k = int(parent[k])
        return k

    for _, i, j in sorted(edges):
        a, b = sorted((root(i), root(j)))
        if a != b and blocks[a].isdisjoint(blocks[b]):
            parent[b] = a
            blocks[a] |= blocks.pop(b)
    return np.array([root(k) for k in range(len(block))], np.int64)
