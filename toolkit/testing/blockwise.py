"""Run a post-processor block by block on heads that are at hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise, product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.gpu.backend import Backend
from toolkit.plugins.specs import PostProcessor
from toolkit.values.instances import Instances
from toolkit.values.prediction import Prediction
from toolkit.values.tiles import Block, Box

Heads = dict[str, NDArray[np.float32]]
"""Heads of a whole image, `(C, *shape)`, activations applied."""


def prediction(heads: Heads, voxel_size: tuple[float, ...] = (), backend: Backend | None = None) -> Prediction:
    """The heads of a whole image as the prediction of one block."""
    backend = backend or Backend()
    shape = next(iter(heads.values())).shape[1:]
    box = Box.whole(shape)
    return Prediction({n: backend.asarray(h) for n, h in heads.items()}, box, box, shape, voxel_size)


def grid(cuts: Sequence[Sequence[int]]) -> list[Block]:
    """The blocks between the cuts of each axis (first 0, last the extent), in raster order."""
    spans = product(*(list(pairwise(axis)) for axis in cuts))
    return [Block(i, Box(tuple(a for a, _ in span), tuple(b for _, b in span))) for i, span in enumerate(spans)]


def assemble(
    postprocess: PostProcessor, whole: Prediction, blocks: Sequence[Block] | None = None, backend: Backend | None = None
) -> Instances:
    """All passes of `postprocess` over `blocks` (default: one) of the prediction of a whole image."""
    backend = backend or Backend()
    state: Any = None
    for sweep in postprocess.passes():
        fragments = []
        for block in blocks or [Block(0, whole.box)]:
            outer = block.core.grow(postprocess.halo(whole.ndim), within=whole.shape)
            part = replace(whole.crop(outer), core=block.core)
            fragments.append(sweep.local(part, None if state is None else state.window(outer), backend))
        state = sweep.reduce(fragments, state, backend)
    assert isinstance(state, Instances), "the last reduce of a post-processor gives Instances"
    return state
