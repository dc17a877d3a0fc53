"""Partition the patch graph: mutex watershed, or connected components of its positive edges (paper, 2.1)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from toolkit_ppp.joined import Graph
from toolkit_ppp.rank import order

Ints = NDArray[np.int64]
AT_ONCE = 2**19
"""After so many edges the library, which takes a Python tuple for each, is given the next ones. A component stays
whole."""


def partition(count: int, graph: Graph, how: Literal["mutex", "components"]) -> Ints:
    """Cluster of each of `count` patches, 0, 1, … in order of the first patch.

    Mutex watershed: edges from the strongest to the weakest, ties in order of their ends. Edges of weight 0 say
    nothing. A patch without an attractive edge is a cluster of its own. No cluster reaches beyond its connected
    component of the graph, so these are partitioned one after the other.
    """
    import mwatershed

    graph = graph.strong(how == "components")
    first, second = graph.nodes()
    # The library names only patches that some edge touches.
    cluster = np.arange(count) + count
    for some in _portions(first, second, count):
        total = graph.total[some]
        ranked = order(np.abs(total), graph.count[some].astype(np.int64))
        attracts, some = (total > 0)[ranked].tolist(), some[ranked]
        found = mwatershed.cluster(list(zip(attracts, first[some].tolist(), second[some].tolist(), strict=True)))
        node, name = np.array(found, np.int64).T
        # A cluster is called like its first patch here, so that no two portions use the same name.
        _, at, index = np.unique(name, return_index=True, return_inverse=True)
        cluster[node] = node[at][index]
    _, at, index = np.unique(cluster, return_index=True, return_inverse=True)
    place = np.empty(len(at), np.int64)
    place[np.argsort(at)] = np.arange(len(at))
    return place[index]


def _portions(first: NDArray[np.int32], second: NDArray[np.int32], count: int) -> Iterator[Ints]:
    """The edges of some whole connected components of the graph at a time, in their order."""
    if not len(first):
        return
    if len(first) <= AT_ONCE:
        yield np.arange(len(first))
        return
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    component = np.arange(count, dtype=np.int32)
    for start in range(0, len(first), AT_ONCE):
        here = slice(start, start + AT_ONCE)
        ends = component[first[here]], component[second[here]]
        found = connected_components(coo_array((np.ones(len(ends[0]), bool), ends), (count, count)), directed=False)
        component = found[1][component]
    of_edge = component[first]
    before = np.cumsum(np.bincount(of_edge, minlength=1)) - 1
    portion = (before // AT_ONCE).astype(np.int32)[of_edge]
    for number in np.unique(portion):
        yield np.flatnonzero(portion == number)
