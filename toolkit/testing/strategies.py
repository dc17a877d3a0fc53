"""Hypothesis strategies for labels, instances, scenes and blocks. Needs hypothesis."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from toolkit.testing.blockwise import grid
from toolkit.testing.scenes import Scene, blobs, worms
from toolkit.values.instances import Instances
from toolkit.values.tiles import Block, Box

Strategy = st.SearchStrategy[Any]


def shapes(ndims: tuple[int, ...] = (2, 3), smallest: int = 1, largest: int = 12) -> Strategy:
    """Shapes `(Z)YX`."""
    return st.sampled_from(ndims).flatmap(lambda n: st.tuples(*[st.integers(smallest, largest)] * n))


@st.composite
def labels(draw: st.DrawFn, shape: Strategy | None = None, most: int = 5) -> np.ndarray[Any, Any]:
    """Label images int32, 0 = background, of boxes that paint over one another; objects may be in pieces."""
    size = draw(shapes() if shape is None else shape)
    image = np.zeros(size, np.int32)
    for label in draw(st.lists(st.integers(1, most), max_size=2 * most)):
        start = [draw(st.integers(0, n - 1)) for n in size]
        stop = [draw(st.integers(a + 1, n)) for a, n in zip(start, size, strict=True)]
        image[Box(tuple(start), tuple(stop)).slices] = label
    return image


@st.composite
def instances(draw: st.DrawFn, shape: Strategy | None = None, most: int = 5) -> Instances:
    """Instances that may overlap, with scores."""
    size = draw(shapes() if shape is None else shape)
    planes = draw(st.lists(labels(st.just(size), most=1), max_size=most))
    scores = draw(st.lists(st.floats(0, 1, width=32), min_size=len(planes), max_size=len(planes)))
    return Instances.from_planes(np.array(planes, np.int32).reshape(len(planes), *size), scores)


def scenes(ndims: tuple[int, ...] = (2, 3), overlapping: bool = True) -> Strategy:
    """Small scenes of blobs or worms."""
    draws = (blobs, worms) if overlapping else (blobs,)
    small = {2: (32, 32), 3: (8, 24, 24)}

    def make(ndim: int, draw: Any, seed: int) -> Scene:
        scene: Scene = draw(small[ndim], seed=seed)
        return scene

    return st.builds(make, st.sampled_from(ndims), st.sampled_from(draws), st.integers(0, 2**16))


@st.composite
def partitions(draw: st.DrawFn, shape: tuple[int, ...], most: int = 3) -> list[Block]:
    """Blocks that partition an image of `shape`: a grid with up to `most` random cuts along each axis."""
    cuts = [sorted({0, n, *draw(st.lists(st.integers(1, max(1, n - 1)), max_size=most))}) for n in shape]
    return grid([[c for c in axis if c <= n] for axis, n in zip(cuts, shape, strict=True)])
