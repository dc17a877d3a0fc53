"""Run a post-processor on heads that are at hand, as a run does: window by window, block by block."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise, product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from toolkit.gpu.backend import Backend
from toolkit.pipeline.passes import keep, sweep
from toolkit.pipeline.pieces import Pieces
from toolkit.plugins.seams import sealed
from toolkit.plugins.specs import PostProcessor
from toolkit.values.instances import Instances
from toolkit.values.prediction import Prediction
from toolkit.values.scattered import whole as gathered
from toolkit.values.tiles import Block, Box, Lattice

Heads = dict[str, NDArray[np.float32]]
"""Heads of a whole image, `(C, *shape)`, activations applied."""


def prediction(heads: Heads, voxel_size: tuple[float, ...] = (), backend: Backend | None = None) -> Prediction:
    """The heads of a whole image as the prediction of one block."""
    backend = backend or Backend()
    shape = next(iter(heads.values())).shape[1:]
    box = Box.whole(shape)
    found = Prediction({n: backend.asarray(h).view() for n, h in heads.items()}, box, box, shape, voxel_size)
    sealed(found)
    return found


def grid(cuts: Sequence[Sequence[int]]) -> list[Block]:
    """The blocks between the cuts of each axis (first 0, last the extent), in raster order."""
    spans = product(*(list(pairwise(axis)) for axis in cuts))
    return [Block(i, Box(tuple(a for a, _ in span), tuple(b for _, b in span))) for i, span in enumerate(spans)]


def small(shape: tuple[int, ...]) -> Lattice:
    """Several windows along each axis that is not thin."""
    return Lattice(shape, tuple(max(1, -(-n // 2)) for n in shape), tuple(min(4, n // 4) for n in shape))


def pieces(
    postprocess: PostProcessor,
    whole: Prediction,
    lattice: Lattice | None = None,
    *,
    loose: bool = False,
    folder: Path | None = None,
    backend: Backend | None = None,
    backwards: bool = False,
) -> Pieces:
    """What `postprocess` keeps of each window of `lattice` (default: one), in memory, or in files of `folder`;
    `backwards`: the last window first."""
    lattice = lattice or Lattice(whole.shape, whole.shape, (0,) * whole.ndim)
    backend = backend or Backend()
    found = Pieces(lattice, backend, folder=folder, room=0 if folder else 2**40)
    numbers = range(len(found.windows))[:: -1 if backwards else 1]
    windows = (found.windows[number] for number in numbers)
    seen = (replace(whole.crop(window.outer & whole.box), core=window.core) for window in windows)
    for number, piece in zip(numbers, keep(postprocess, seen, backend, loose), strict=True):
        found.add(number, piece)
    return found


def assemble(
    postprocess: PostProcessor,
    whole: Prediction,
    blocks: Sequence[Block] | None = None,
    backend: Backend | None = None,
    lattice: Lattice | None = None,
) -> Instances:
    """All passes of `postprocess` over `blocks` (default: one) of the prediction of a whole image."""
    kept = pieces(postprocess, whole, lattice, backend=backend)
    return gathered(sweep(postprocess, kept, blocks or [Block(0, whole.box)]))
