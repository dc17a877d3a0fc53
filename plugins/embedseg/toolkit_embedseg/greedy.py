"""The greedy clustering, on a grid of embeddings: identical to the sequential definition, without its cost.

Embeddings are sorted into cells of CELL voxels; a seed visits only the cells that its ellipse φ > .5 meets. Everything
has three axes; in 2-D the first has extent 1. P pixels, K instances.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.api import Backend, jit

CELL = 8
THREADS = 256
"""As in `greedy.cu`."""
LN2 = float(np.log(2.0))


@dataclass(frozen=True)
class Rule:
    """Which proposals become instances: at least `min_size` pixels; see `EmbedSegClusters.claim` for `overwrite`."""

    min_size: int = 1
    overwrite: bool = False


def surest(seediness: NDArray[np.float32], least: float) -> NDArray[np.int64]:
    """Pixels with seediness ≥ `least`, from the surest on; ties in raster order."""
    seeds = np.flatnonzero(seediness >= np.float32(least))
    return seeds[np.argsort(-seediness[seeds], kind="stable")]


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
    A GPU gives the labels of the CPU. Takes 25 bytes for each pixel in 3-D, 41 in 2-D, beside what is given.
    """
    voxel, offset, inverse, step, extent = spread(start, length, offset, inverse, step, shape)
    cells = -(-extent // CELL)
    first, member = binned(voxel, offset, step, cells)
    if backend.on_gpu:
        return _grown(voxel, offset, inverse, step, cells, member, first, seeds, rule, backend)
    label, taken = np.full(len(voxel), -1, np.int32), np.zeros(len(voxel), np.bool_)
    chosen = np.empty(len(seeds), np.int64)
    near = np.empty(len(voxel), np.int32)  # touched as far as the largest proposal reaches
    count = _grow(
        voxel,
        offset,
        inverse,
        step,
        cells,
        member,
        first,
        seeds,
        rule.min_size,
        rule.overwrite,
        near,
        taken,
        label,
        chosen,
    )
    return label, chosen[:count]


def spread(
    start: NDArray[np.int64],
    length: NDArray[np.int64],
    offset: NDArray[np.float32],
    inverse: NDArray[np.float32],
    step: NDArray[np.float64],
    shape: tuple[int, ...],
) -> tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.float32], NDArray[np.float64], NDArray[np.int64]]:
    """Coordinates, offset and inverse of the pixels `(P, 3)`, step and extent of the image `(3,)`: of any image as of a
    volume."""
    steps, extent = np.array([1.0] * (3 - len(step)) + list(step)), np.array([1] * (3 - len(shape)) + list(shape))
    voxel = np.empty((len(offset), 3), np.int32)
    _coordinates(start, length, extent, voxel)
    return voxel, _three(offset), _three(inverse), steps, extent


def binned(voxel: Any, offset: Any, step: Any, cells: Any) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Where each cell begins in the list of pixels cell by cell, and that list."""
    first, member = np.zeros(int(cells.prod()) + 2, np.int64), np.empty(len(voxel), np.int32)
    _binned(voxel, offset, step, cells, first, member)
    return first, member


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
    """`_grow` on a GPU."""
    from toolkit.api import kernels

    xp, embedded = backend.xp, voxel + offset / step
    whole = (voxel.astype(np.int64), offset, inverse, embedded, step, cells, member.astype(np.int64), first, seeds)
    with kernels.on(backend):
        given = [backend.asarray(a) for a in whole]
        label, chosen = xp.full(len(voxel), -1, np.int64), xp.empty(max(1, len(seeds)), np.int64)
        room, taken, count = xp.empty(len(voxel), np.int64), xp.zeros(len(voxel), np.uint8), xp.zeros(1, np.int64)
        rules = (np.int64(len(seeds)), CELL, LN2, rule.min_size, rule.overwrite)
        module = kernels.load(Path(__file__).with_suffix(".cu"))
        module.launch("grow", min(1, len(seeds)), THREADS, *given, *rules, room, taken, label, chosen, count)
        return backend.to_numpy(label).astype(np.int32), backend.to_numpy(chosen)[: int(backend.to_numpy(count)[0])]


def _three(array: NDArray[Any]) -> NDArray[Any]:
    """`(P, D)` with leading axes of zeros up to D = 3."""
    return np.ascontiguousarray(np.pad(array, ((0, 0), (3 - array.shape[1], 0))))


@jit
def _coordinates(start: Any, length: Any, extent: Any, voxel: Any) -> None:
    """Fill `voxel` `(P, 3)` with the coordinates of the pixels of the runs."""
    at = 0
    for r in range(len(start)):
        row, x = divmod(start[r], extent[2])
        z, y = divmod(row, extent[1])
        for k in range(length[r]):
            voxel[at, 0], voxel[at, 1], voxel[at, 2] = z, y, x + k
            at += 1


@jit
def cell_of(voxel: Any, offset: Any, step: Any, cells: Any, p: int) -> int:
    """The cell in which pixel p embeds itself; beyond the image the nearest."""
    place = 0
    for d in range(3):
        at = np.floor((voxel[p, d] + offset[p, d] / step[d]) / CELL)
        place = place * cells[d] + int(max(0.0, min(float(cells[d] - 1), at)))
    return place


@jit
def _binned(voxel: Any, offset: Any, step: Any, cells: Any, first: Any, member: Any) -> None:
    """Fill `member` with the pixels cell by cell, in raster order in each, and `first` with where a cell begins."""
    for p in range(len(voxel)):
        first[cell_of(voxel, offset, step, cells, p) + 2] += 1
    for c in range(2, len(first)):
        first[c] += first[c - 1]
    for p in range(len(voxel)):
        c = cell_of(voxel, offset, step, cells, p) + 1
        member[first[c]] = p
        first[c] += 1


@jit
def near_to(
    s: int, voxel: Any, offset: Any, inverse: Any, step: Any, cells: Any, member: Any, first: Any, state: Any,
    limit: int, left: Any, near: Any,
) -> int:  # fmt: skip
    """Fill `near` with the pixels that embed themselves near seed s and whose `state` is below `limit`; returns how
    many. `left`: of each cell how many such pixels it has at most, or nothing."""
    size = 0
    low = np.empty(3, np.int64)
    high = np.empty(3, np.int64)
    for d in range(3):
        # A hundredth of a voxel more: the cell of an embedding is computed in another rounding than φ.
        reach = np.sqrt(LN2 / inverse[s, d]) / step[d] if inverse[s, d] > 0 else 0.0
        at = voxel[s, d] + offset[s, d] / step[d]
        low[d] = max(0, min(cells[d] - 1, int(np.floor((at - reach - 0.01) / CELL))))
        high[d] = max(0, min(cells[d] - 1, int(np.floor((at + reach + 0.01) / CELL))))
    for z in range(low[0], high[0] + 1):
        for y in range(low[1], high[1] + 1):
            row = (z * cells[1] + y) * cells[2]
            for c in range(row + low[2], row + high[2] + 1):
                if len(left) > 0 and left[c] == 0:
                    continue
                for m in range(first[c], first[c + 1]):
                    p = member[m]
                    if state[p] >= limit:
                        continue
                    distance = 0.0
                    for d in range(3):
                        gap = (voxel[p, d] - voxel[s, d]) * step[d] + (offset[p, d] - offset[s, d])
                        distance += inverse[s, d] * gap * gap
                    if distance < LN2:
                        near[size] = p
                        size += 1
    return size


@jit
def _grow(
    voxel: Any, offset: Any, inverse: Any, step: Any, cells: Any, member: Any, first: Any, seeds: Any,
    min_size: int, overwrite: bool, near: Any, taken: Any, label: Any, chosen: Any,
) -> int:  # fmt: skip
    """Fill `label` and `chosen`; returns the number of instances. `near` is room for the pixels of a proposal."""
    count = 0
    limit, all_cells = 2 if overwrite else 1, np.zeros(0, np.int32)
    for s in seeds:
        if taken[s]:
            continue
        size = near_to(s, voxel, offset, inverse, step, cells, member, first, taken, limit, all_cells, near)
        free = 0
        for k in range(size):
            if not taken[near[k]] and near[k] != s:
                free += 1
        accepted = size >= min_size and (not overwrite or 2 * free > size)
        for k in range(size):
            taken[near[k]] = True
            if accepted:
                label[near[k]] = count
        if accepted:
            chosen[count] = s
            count += 1
    return count
