"""Partition the patch graph: mutex watershed, or connected components of its positive edges (paper, 2.1)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from toolkit_ppp.graph import Edges
from toolkit_ppp.rank import order

Ints = NDArray[np.int64]
AT_ONCE = 2**20
"""After so many edges the library, which takes a Python tuple for each, is given the next ones. A component stays
whole."""


def partition(nodes: Ints, edges: Edges, how: Literal["mutex", "components"]) -> Ints:
    """Cluster of each node, 0, 1, … in order of the first node. `nodes` are ascending names, the ends of `edges`.

    Mutex watershed: edges from the strongest to the weakest, ties in order of their ends. Edges of weight 0 say
    nothing. A node without an attractive edge is a cluster of its own. No cluster reaches beyond its connected
    component of the graph, so these are partitioned one after the other.
    """
    import mwatershed

    strong = edges.total > 0 if how == "components" else edges.total != 0
    first, second = (np.searchsorted(nodes, end[strong]) for end in (edges.first, edges.second))
    total = edges.total[strong]
    ranked = order(np.abs(total), edges.count[strong])
    attracts = total > 0
    # The library names only nodes that some edge touches.
    cluster = np.arange(len(nodes)) + len(nodes)
    for some in _portions(first, second, ranked, len(nodes)):
        ends = (first[some].tolist(), second[some].tolist())
        found = mwatershed.cluster(list(zip(attracts[some].tolist(), *ends, strict=True)))
        node, name = np.array(found, np.int64).T
        # A cluster is called like its first node here, so that no two portions use the same name.
        _, at, index = np.unique(name, return_index=True, return_inverse=True)
        cluster[node] = node[at][index]
    _, at, index = np.unique(cluster, return_index=True, return_inverse=True)
    place = np.empty(len(at), np.int64)
    place[np.argsort(at)] = np.arange(len(at))
    return place[index]


def _portions(first: Ints, second: Ints, ranked: Ints, count: int) -> Iterator[Ints]:
    """The edges `ranked` of some whole connected components of the graph at a time, in their order."""
    if len(ranked) <= AT_ONCE:
        if len(ranked):
            yield ranked
        return
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(first), bool), (first, second)), (count, count))
    component = connected_components(graph, directed=False)[1][first]
    before = np.cumsum(np.bincount(component)) - 1
    portion = (before // AT_ONCE)[component][ranked]
    by_portion = np.argsort(portion, kind="stable")
    cuts = np.flatnonzero(np.diff(portion[by_portion])) + 1
    for some in np.split(by_portion, cuts):
        yield ranked[some]
