"""Instances: the union of the patches of a cluster (paper, 2.1)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from toolkit.api import Instances
from toolkit_ppp.bits import unpack
from toolkit_ppp.layout import triple
from toolkit_ppp.options import Options
from toolkit_ppp.selection import Selection

Ints = NDArray[np.int64]
CHUNK = 4_000_000
"""Voxels of patches that are unfolded at once."""


def label(selection: Selection, cluster: Ints, values: NDArray[np.uint8] | None, options: Options) -> Instances:
    """Instances of the image: one per cluster, with the mean score of its patches, at least 0.

    `values` (N, C), the probabilities of the selected patches in units of 1/255, are needed for
    `overlap: highest_probability`: there a pixel goes to the patch that is surest of it, ties to the better rank.
    """
    if not len(cluster):
        return Instances.empty(selection.shape)
    pixels, owners, rest = _unfold(selection, cluster, values)
    if values is not None:
        best = np.lexsort((*rest, pixels))
        best = best[np.flatnonzero(np.diff(pixels[best], prepend=-1))]
        pixels, owners = pixels[best], owners[best]
    mean = np.bincount(cluster, weights=selection.scores) / np.bincount(cluster)
    found = Instances.from_runs(selection.shape, pixels, np.ones(len(pixels), np.int64), owners, np.clip(mean, 0, 1))
    return found.select(found.sizes >= options.min_size) if options.min_size > 1 else found


def _unfold(
    selection: Selection, cluster: Ints, values: NDArray[np.uint8] | None
) -> tuple[Ints, Ints, tuple[Ints, ...]]:
    """Raster indices of all pixels of all patches, the cluster of each, and keys that sort the surest first."""
    shape, patch = triple(selection.shape), triple(selection.patch)
    voxels = int(np.prod(patch))
    steps = np.indices(patch).reshape(3, -1) - np.array([n // 2 for n in patch])[:, None]
    step = (steps[0] * shape[1] + steps[1]) * shape[2] + steps[2]
    parts: list[tuple[Ints, ...]] = []
    for first in range(0, len(cluster), max(1, CHUNK // voxels)):
        chunk = slice(first, first + max(1, CHUNK // voxels))
        node, voxel = np.nonzero(unpack(selection.members[chunk], voxels))
        node = node + first
        pixels, owners = selection.centres[node] + step[voxel], cluster[node]
        if values is None:
            # Patches of one cluster overlap many times over: keep each pixel once.
            key = np.unique(owners * np.int64(np.prod(shape)) + pixels)
            owners, pixels = np.divmod(key, np.int64(np.prod(shape)))
            parts.append((pixels, owners))
        else:
            parts.append((pixels, owners, selection.places[node], -values[node, voxel].astype(np.int64)))
    pixels, owners, *rest = (np.concatenate(column) for column in zip(*parts, strict=True))
    return pixels, owners, tuple(rest)
