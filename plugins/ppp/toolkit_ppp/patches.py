"""The patches of a block: one number per voxel, its class and its probability in units of 1/255."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.gpu import kernels
from toolkit.gpu.backend import Backend
from toolkit_ppp.bits import Words, pack
from toolkit_ppp.jit import jit
from toolkit_ppp.layout import Layout, Triple, triple
from toolkit_ppp.options import Options
from toolkit_ppp.threads import default_threads, run

UNCOVERED = -32768
"""Code of a voxel that is not in the patch: outside the image, or outside its foreground where patches are sparse."""

KERNELS = Path(__file__).with_name("kernels")
THREADS = 128
"""Threads of a block, as the kernels say too."""
SIDE = 32
"""Patches, and voxels, that a block of the kernel `encode` works on."""


@dataclass(frozen=True, eq=False)
class Patches:
    """N patches of a box of `shape`. Arrays are where the prediction is.

    `centres` (N,) int64: raster indices in the box, ascending. `rows` (*shape) int32: which patch is centred at a
    pixel, −1 for none. `codes` (N, C) int16: q + 1 for foreground (q = rint(255·p)), q − 256 for background, 0 for
    undecided voxels, UNCOVERED elsewhere. `inside` (*shape) uint8: fg(I).
    """

    layout: Layout
    shape: Triple
    centres: Any
    rows: Any
    codes: Any
    inside: Any


def encode(
    head: Any, inside: Any, centred: Any, options: Options, backend: Backend, threads: int | None = None
) -> Patches:
    """The patches of `head` `(C, *S)` whose centres are `centred`; `inside` and `centred` are masks `(*S)`.

    Classes come from the exact probabilities, so rounding never turns foreground into background.
    """
    xp = backend.xp
    shape = triple(inside.shape)
    layout = Layout(triple(options.patch))
    centres = xp.flatnonzero(centred)
    rows = xp.full(shape, -1, np.int32)
    rows.reshape(-1)[centres] = xp.arange(len(centres), dtype=np.int32)
    codes = xp.empty((len(centres), options.voxels), np.int16)
    inside = xp.ascontiguousarray(inside.reshape(shape)).view(np.uint8)
    flat = xp.ascontiguousarray(head, dtype=np.float32).reshape(options.voxels, -1)
    t = options.threshold
    below = {"complement": 1 - t, "below_threshold": t, "half": t / 2}[options.background]
    how = (flat, centres, inside, layout.patch, options.sparse, float(t), float(below), codes)
    if backend.on_gpu:
        cuda(*how)
    else:
        cpu(*how, threads or default_threads())
    return Patches(layout, shape, centres, rows, codes, inside)


def cpu(
    flat: NDArray[np.float32],
    centres: NDArray[np.int64],
    inside: NDArray[np.uint8],
    patch: Triple,
    sparse: bool,
    t: float,
    below: float,
    codes: NDArray[np.int16],
    threads: int,
) -> None:
    """Fill `codes`."""
    # Where a patch may have voxels, with a margin so that no index leaves the array.
    margin = [(n // 2, n // 2) for n in patch]
    allowed = np.pad(inside if sparse else np.ones_like(inside), margin)
    z, y, x = np.unravel_index(centres, inside.shape)
    corners = np.ravel_multi_index((z, y, x), allowed.shape)
    steps = np.asarray(np.ravel_multi_index(tuple(np.indices(patch).reshape(3, -1)), allowed.shape), np.int64)
    allowed = allowed.reshape(-1)
    share = max(1024, -(-len(centres) // threads))
    parts = [slice(first, first + share) for first in range(0, len(centres), share)]
    run(lambda part: _encode(flat, centres[part], allowed, corners[part], steps, t, below, codes[part]), parts, threads)


def cuda(flat: Any, centres: Any, inside: Any, patch: Triple, sparse: bool, t: float, below: float, codes: Any) -> None:
    """The same on a GPU."""
    blocks = (-(-len(centres) // SIDE), -(-codes.shape[1] // SIDE))
    module = kernels.load(KERNELS / "patches.cu")
    module.launch(
        "encode", blocks, THREADS, flat, centres, len(centres), inside, *inside.shape, *patch, sparse, t, below, codes
    )  # fmt: skip


def members(codes: Any, backend: Backend) -> Words:
    """The foreground pixels of patches as bits, in main memory."""
    if not backend.on_gpu:
        return pack(codes > 0)
    count, voxels = codes.shape
    words = -(-voxels // 64)
    bits = backend.xp.empty((count, words), np.uint64)
    module = kernels.load(KERNELS / "patches.cu")
    module.launch("members", -(-bits.size // THREADS), THREADS, codes, np.int64(count), voxels, words, bits)
    return backend.to_numpy(bits)


def above(head: Any, centres: Any, codes: Any, cut: float, backend: Backend) -> Words:
    """The same for pixels with p above `cut`; `codes` and `centres` are those of the patches in question."""
    count, voxels = codes.shape
    flat = backend.xp.ascontiguousarray(head, dtype=np.float32).reshape(voxels, -1)
    if not backend.on_gpu:
        high = np.empty(codes.shape, bool)
        for c in range(voxels):
            high[:, c] = flat[c][centres].astype(np.float64) > cut
        return pack(high & (codes >= -256))
    words = -(-voxels // 64)
    bits = backend.xp.empty((count, words), np.uint64)
    kernels.load(KERNELS / "patches.cu").launch(
        "above", -(-bits.size // THREADS), THREADS,
        flat, np.int64(flat.shape[1]), centres, codes, np.int64(count), voxels, words, float(cut), bits,
    )  # fmt: skip
    return backend.to_numpy(bits)


@jit
def _encode(
    flat: NDArray[np.float32],
    centres: NDArray[np.int64],
    allowed: NDArray[np.uint8],
    corners: NDArray[np.int64],
    steps: NDArray[np.int64],
    t: float,
    below: float,
    codes: NDArray[np.int16],
) -> None:
    # Channels lie far apart in `flat` and patches in `codes`: a run of patches keeps both in cache.
    for first in range(0, len(centres), 32):
        last = min(len(centres), first + 32)
        for c in range(len(steps)):
            for k in range(first, last):
                codes[k, c] = UNCOVERED
                if allowed[corners[k] + steps[c]] > 0:
                    p = np.float64(flat[c, centres[k]])
                    codes[k, c] = 0
                    if p > t:
                        codes[k, c] = np.int16(np.rint(255.0 * min(p, 1.0))) + 1
                    elif p < below:
                        codes[k, c] = np.int16(np.rint(255.0 * max(p, 0.0))) - 256
