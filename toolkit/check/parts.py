"""Objects that lie in several parts."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.values import runs


def parts(stack: NDArray[Any], planes: bool) -> dict[int, tuple[int, ...]]:
    """Sizes of the parts, largest first, of the objects that have several (connected over faces), by id.

    `stack` holds label layers `(L, *shape)`, or planes `(Q, *shape)` where id q + 1 is plane q.
    """
    found: dict[int, tuple[int, ...]] = {}
    for index, layer in enumerate(stack):
        labels = (layer != 0).astype(np.uint8) if planes else np.maximum(layer, 0)
        found |= _of(labels, index + 1 if planes else None)
    return found


def _of(labels: NDArray[Any], name: int | None) -> dict[int, tuple[int, ...]]:
    """Sizes of the parts of each label (or of all, called `name`) that has several, largest first."""
    import cc3d

    every = cc3d.connected_components(np.ascontiguousarray(labels), connectivity=4 if labels.ndim == 2 else 6)
    start, length, part = runs.of_labels(every)
    if not len(start):
        return {}
    sizes = np.bincount(part, weights=length).astype(np.int64)
    of = np.zeros(len(sizes), np.int64)
    of[part] = labels.reshape(-1)[start]
    present = np.flatnonzero(sizes)
    owners, how_many = np.unique(of[present], return_counts=True)
    split = owners[how_many > 1].tolist()
    return {name or int(k): tuple(sorted(sizes[present][of[present] == k].tolist(), reverse=True)) for k in split}
