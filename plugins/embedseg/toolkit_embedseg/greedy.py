"""The greedy clustering, on a grid of embeddings: identical to the sequential definition, without its cost.

Embeddings are sorted into cells of CELL voxels; a seed visits only the cells that its ellipse φ > .5 meets. Everything
has three axes; in 2-D the first has extent 1. P pixels, K instances.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from toolkit.api import Backend
from toolkit_embedseg import few
from toolkit_embedseg.few import Fill

THREADS = 256
"""As in `greedy.cu`."""


@dataclass(frozen=True)
class Rule:
    """Which proposals become instances: at least `min_size` pixels; see `EmbedSegClusters.claim` for `overwrite`."""

    min_size: int = 1
    overwrite: bool = False


def surest(seediness: NDArray[np.float32], least: float) -> NDArray[np.int64]:
    """Pixels with seediness ≥ `least`, from the surest on; ties in raster order."""
    seeds = np.flatnonzero(seediness >= np.float32(least))
    # Bits of numbers from 0 on (+ 0: not below it) are in their order. With the place below them no two keys are equal,
    # and plain numbers are sorted faster than their places.
    keys = (~(seediness[seeds].astype(np.float32) + np.float32(0)).view(np.uint32)).astype(np.uint64) << np.uint64(32)
    keys |= np.arange(len(seeds), dtype=np.uint64)
    keys.sort()
    keys &= np.uint64(2**32 - 1)
    return seeds[keys.view(np.int64)]


def local_maxima(index: NDArray[np.int64], seediness: NDArray[np.float32], shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Foreground pixels that are a maximum of the smoothed seediness among their neighbours, from the surest on."""
    from scipy.ndimage import gaussian_filter, maximum_filter

    full = np.zeros(shape, np.float32)
    full.reshape(-1)[index] = seediness
    smooth = gaussian_filter(full, 1.0)
    peak = (smooth == maximum_filter(smooth, 3)).reshape(-1)[index]
    seeds = np.flatnonzero(peak)
    return seeds[np.argsort(-seediness[seeds], kind="stable")]


def cluster(
    start: NDArray[np.int64],
    length: NDArray[np.int64],
    offset: NDArray[np.float32],
    inverse: NDArray[np.float32],
    step: NDArray[np.float64],
    shape: tuple[int, ...],
    seeds: NDArray[np.int64],
    rule: Rule,
    backend: Backend,
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Label (−1: none) of each pixel `(P,)` and the seed pixel of each instance `(K,)`.

    The pixels are the runs `start`, `length` in raster order; `offset` and `inverse` = 1/(2σ²) `(P, D)` in units of the
    embedding, `step` `(D,)` the length of a voxel in these units, `seeds` pixels in the order in which they are tried.
    A GPU gives the labels of the CPU, compiled code those of `few`. Of many pixels each takes 25 bytes in 3-D, 41 in
    2-D, beside what is given.
    """
    label, chosen = np.full(len(offset), -1, np.int32), np.empty(len(seeds), np.int64)
    taken, done, count = np.zeros(len(offset), np.bool_), 0, 0
    plain = not backend.on_gpu and len(offset) <= few.PIXELS
    fill: Fill = few.coordinates
    if not plain:
        from toolkit_embedseg.cells import coordinates

        fill = coordinates
    voxel, offset, inverse, step, extent = few.spread(start, length, offset, inverse, step, shape, fill)
    given = voxel, offset, inverse, step, -(-extent // few.CELL)
    if plain:
        done, count = few.begin(*given, seeds, rule.min_size, rule.overwrite, taken, label, chosen)
        if done == len(seeds):
            return label, chosen[:count]
    from toolkit_embedseg import cells

    first, member = cells.binned(voxel, offset, step, given[-1])
    if backend.on_gpu:
        return _grown(*given, member, first, seeds, rule, backend)
    near = np.empty(len(voxel), np.int32)  # touched as far as the largest proposal reaches
    rules = rule.min_size, rule.overwrite
    count = cells.grow(*given, member, first, seeds[done:], *rules, near, taken, label, chosen, count)
    return label, chosen[:count]


def _grown(
    voxel: NDArray[np.int32],
    offset: NDArray[np.float32],
    inverse: NDArray[np.float32],
    step: NDArray[np.float64],
    cells: NDArray[np.int64],
    member: NDArray[np.int32],
    first: NDArray[np.int64],
    seeds: NDArray[np.int64],
    rule: Rule,
    backend: Backend,
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """`cells.grow` on a GPU."""
    from toolkit.api import kernels

    xp, embedded = backend.xp, voxel + offset / step
    whole = (voxel.astype(np.int64), offset, inverse, embedded, step, cells, member.astype(np.int64), first, seeds)
    with kernels.on(backend):
        given = [backend.asarray(a) for a in whole]
        label, chosen = xp.full(len(voxel), -1, np.int64), xp.empty(max(1, len(seeds)), np.int64)
        room, taken, count = xp.empty(len(voxel), np.int64), xp.zeros(len(voxel), np.uint8), xp.zeros(1, np.int64)
        rules = (np.int64(len(seeds)), few.CELL, few.LN2, rule.min_size, rule.overwrite)
        module = kernels.load(Path(__file__).with_suffix(".cu"))
        module.launch("grow", min(1, len(seeds)), THREADS, *given, *rules, room, taken, label, chosen, count)
        return backend.to_numpy(label).astype(np.int32), backend.to_numpy(chosen)[: int(backend.to_numpy(count)[0])]
