"""The patches of a block: one number per voxel, its class and its probability in units of 1/255."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.api import Backend, Voxels, jit, kernels
from toolkit_ppp.bits import Words, pack
from toolkit_ppp.layout import Layout, Triple, triple
from toolkit_ppp.options import Options
from toolkit_ppp.threads import default_threads, run

UNCOVERED = -32768
"""Code of a voxel that is not in the patch: outside the image, or outside its foreground where patches are sparse."""

KERNELS = Path(__file__).with_name("kernels")
THREADS = 128
"""Threads of a block, as the kernels say too."""


@dataclass(frozen=True, eq=False)
class Patches:
    """N patches of a box of `shape`. Arrays are where the prediction is.

    `centres` (N,) int64: raster indices in the box, ascending. `rows` (*shape) int32: which patch is centred at a
    pixel, −1 for none. `codes` (N, C) int16: q + 1 for foreground (q = rint(255·p)), q − 256 for background, 0 for
    undecided voxels, UNCOVERED elsewhere. `inside` (*shape) uint8: fg(I). `which` (N,), in main memory: the rows of
    what was kept of the block.
    """

    layout: Layout
    shape: Triple
    centres: Any
    rows: Any
    codes: Any
    inside: Any
    which: NDArray[np.int64]


def read(piece: Voxels, options: Options, backend: Backend, threads: int | None = None) -> Patches:
    """The patches that were kept of a block, confined to the image, or to its foreground where they are `sparse`; with
    `border: drop` without those that do not fit into the image."""
    xp = backend.xp
    patch = triple(options.patch)
    which = np.flatnonzero(piece["centred"] & _fitting(piece, options))
    inside = np.ascontiguousarray(piece.mask().reshape(triple(piece.box.shape))).view(np.uint8)
    index = piece.inside[which]
    if backend.on_gpu:
        centres, there = backend.asarray(index), backend.asarray(inside)
        codes = backend.asarray(np.ascontiguousarray(piece["codes"][which]))
        if codes.size:
            _launch(
                "confine", codes.size, codes, centres, np.int64(len(which)), there, *there.shape, *patch, options.sparse
            )
    else:
        centres, there = index, inside
        codes = confined(piece["codes"], which, index, inside, patch, options.sparse, threads or default_threads())
    rows = xp.full(inside.shape, -1, np.int32)
    rows.reshape(-1)[centres] = xp.arange(len(which), dtype=np.int32)
    return Patches(Layout(patch), inside.shape, centres, rows, codes, there, which)


def _fitting(piece: Voxels, options: Options) -> NDArray[np.bool_]:
    """Which voxels have a patch that fits, as far as that matters."""
    fits = np.ones(len(piece), bool)
    if options.border == "drop":
        for at, size, radius in zip(piece.where, piece.shape, options.radius, strict=True):
            fits &= (at >= radius) & (at < size - radius)
    return fits


def confined(
    codes: NDArray[np.int16],
    which: NDArray[np.int64],
    centres: NDArray[np.int64],
    inside: NDArray[np.uint8],
    patch: Triple,
    sparse: bool,
    threads: int,
) -> NDArray[np.int16]:
    """The rows `which` of `codes`, with centres at raster `centres` of `inside`, UNCOVERED where a patch may have no
    voxels."""
    # Where a patch may have voxels, with a margin so that no index leaves the array.
    margin = [(n // 2, n // 2) for n in patch]
    allowed = np.pad(inside if sparse else np.ones_like(inside), margin)
    corners = np.ravel_multi_index(np.unravel_index(centres, inside.shape), allowed.shape)
    steps = np.asarray(np.ravel_multi_index(tuple(np.indices(patch).reshape(3, -1)), allowed.shape), np.int64)
    allowed, found = allowed.reshape(-1), np.empty((len(which), codes.shape[1]), np.int16)
    share = max(1024, -(-len(which) // threads))
    parts = [slice(first, first + share) for first in range(0, len(which), share)]
    run(lambda part: _confine(codes, which[part], allowed, corners[part], steps, found[part]), parts, threads)
    return found


def classify(rows: Any, options: Options, backend: Backend) -> NDArray[np.int16]:
    """Codes of probabilities `(N, C)` on the device, in main memory.

    Classes come from the exact probabilities, so rounding never turns foreground into background.
    """
    t = float(options.threshold)
    below = float({"complement": 1 - t, "below_threshold": t, "half": t / 2}[options.background])
    codes = backend.xp.empty(rows.shape, np.int16)
    if not backend.on_gpu:
        _classify(np.ascontiguousarray(rows, np.float32).reshape(-1), t, below, codes.reshape(-1))
    elif codes.size:
        entries = backend.xp.ascontiguousarray(rows, dtype=np.float32)
        _launch("classify", codes.size, entries, np.int64(codes.size), t, below, codes)
    return np.asarray(backend.to_numpy(codes), np.int16)


def _launch(name: str, entries: int, *given: Any) -> None:
    kernels.load(KERNELS / "patches.cu").launch(name, -(-entries // THREADS), THREADS, *given)


def members(codes: Any, backend: Backend) -> Words:
    """The foreground pixels of patches as bits, in main memory."""
    if not backend.on_gpu:
        return pack(codes > 0)
    count, voxels = codes.shape
    words = -(-voxels // 64)
    bits = backend.xp.empty((count, words), np.uint64)
    if bits.size:
        _launch("members", bits.size, codes, np.int64(count), voxels, words, bits)
    return backend.to_numpy(bits)


@jit
def _classify(rows: NDArray[np.float32], t: float, below: float, codes: NDArray[np.int16]) -> None:
    for n in range(len(rows)):
        p = np.float64(rows[n])
        if p > t:
            codes[n] = np.int16(np.rint(255.0 * min(p, 1.0))) + 1
        elif p < below:
            codes[n] = np.int16(np.rint(255.0 * max(p, 0.0))) - 256
        else:
            codes[n] = 0


@jit
def _confine(
    codes: NDArray[np.int16],
    which: NDArray[np.int64],
    allowed: NDArray[np.uint8],
    corners: NDArray[np.int64],
    steps: NDArray[np.int64],
    found: NDArray[np.int16],
) -> None:
    for k in range(len(which)):
        for c in range(len(steps)):
            found[k, c] = codes[which[k], c] if allowed[corners[k] + steps[c]] > 0 else UNCOVERED
