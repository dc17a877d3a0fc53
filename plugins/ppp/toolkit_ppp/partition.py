"""Partition the patch graph: mutex watershed, or connected components of its positive edges (paper, 2.1)."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from toolkit_ppp.graph import Edges
from toolkit_ppp.rank import order

Ints = NDArray[np.int64]


def partition(nodes: Ints, edges: Edges, how: Literal["mutex", "components"]) -> Ints:
    """Cluster of each node, 0, 1, … in order of the first node. `nodes` are ascending names, the ends of `edges`.

    Mutex watershed: edges from the strongest to the weakest, ties in order of their ends. Edges of weight 0 say
    nothing. A node without an attractive edge is a cluster of its own.
    """
    import mwatershed

    strong = edges.total > 0 if how == "components" else edges.total != 0
    total, count = edges.total[strong], edges.count[strong]
    ranked = order(np.abs(total), count)
    ends = (np.searchsorted(nodes, end[strong][ranked]).tolist() for end in (edges.first, edges.second))
    found = mwatershed.cluster(list(zip((total[ranked] > 0).tolist(), *ends, strict=True)))
    # The library names only nodes that some edge touches.
    cluster = np.arange(len(nodes)) + len(nodes)
    if found:
        node, name = np.array(found, np.int64).T
        cluster[node] = np.unique(name, return_inverse=True)[1]
    _, first, index = np.unique(cluster, return_index=True, return_inverse=True)
    place = np.empty(len(first), np.int64)
    place[np.argsort(first)] = np.arange(len(first))
    return place[index]
