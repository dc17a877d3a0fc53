"""Pure integer geometry: boxes, the lattice of windows that the network sees, blocks of work."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod

Shape = tuple[int, ...]


@dataclass(frozen=True, order=True)
class Box:
    """Half-open voxel box: `start[d] <= x[d] < stop[d]` for every axis, in `(Z)YX` order."""

    start: Shape
    stop: Shape

    @classmethod
    def whole(cls, shape: Sequence[int]) -> Box:
        """The box of a whole array of `shape`."""
        return cls((0,) * len(shape), tuple(int(n) for n in shape))

    @property
    def ndim(self) -> int:
        return len(self.start)

    @property
    def shape(self) -> Shape:
        """Extent along each axis; 0 where the box is empty."""
        return tuple(max(0, b - a) for a, b in zip(self.start, self.stop, strict=True))

    @property
    def size(self) -> int:
        """Number of voxels."""
        return prod(self.shape)

    @property
    def slices(self) -> tuple[slice, ...]:
        return tuple(slice(a, b) for a, b in zip(self.start, self.stop, strict=True))

    def __and__(self, other: Box) -> Box:
        """The common part; of size 0 if there is none."""
        start = tuple(map(max, self.start, other.start))
        return Box(start, tuple(map(max, start, map(min, self.stop, other.stop))))

    def grow(self, by: Sequence[int], within: Sequence[int] | None = None) -> Box:
        """The box grown by `by[d]` voxels on both sides of axis d, clipped to an array of shape `within`."""
        grown = Box(
            tuple(a - g for a, g in zip(self.start, by, strict=True)),
            tuple(b + g for b, g in zip(self.stop, by, strict=True)),
        )
        return grown if within is None else grown & Box.whole(within)

    def shift(self, by: Sequence[int]) -> Box:
        """The box moved by `by`."""
        return Box(
            tuple(a + s for a, s in zip(self.start, by, strict=True)),
            tuple(b + s for b, s in zip(self.stop, by, strict=True)),
        )

    def relative_to(self, origin: Box) -> Box:
        """The same box in the coordinates of `origin`, whose start becomes 0."""
        return self.shift(tuple(-a for a in origin.start))

    def __contains__(self, other: Box) -> bool:
        return (self & other) == other


def slabs(shape: Sequence[int], most: int, unit: int = 1) -> Iterator[Box]:
    """An array of `shape` in boxes of whole rows of its first axis, a multiple of `unit` of them (the last may hold
    fewer), and at most about `most` voxels each."""
    depth, *rest = (int(n) for n in shape)
    thick = unit * max(1, most // (unit * max(1, prod(rest))))
    for low in range(0, depth, thick):
        yield Box((low, *(0 for _ in rest)), (min(low + thick, depth), *rest))


@dataclass(frozen=True)
class Window:
    """What the network sees at once. `outer` may reach beyond the image; `core` is what the window answers for."""

    outer: Box
    core: Box


@dataclass(frozen=True)
class Lattice:
    """Windows of one fixed shape, anchored at the image origin; their cores partition the image.

    Neighbouring windows share `overlap` voxels and meet in the middle of them, so every core voxel that is not at the
    image border has at least `overlap // 2` voxels of context. An axis no longer than the window has one window.
    """

    shape: Shape
    window: Shape
    overlap: Shape

    def __post_init__(self) -> None:
        assert all(0 <= o < w for o, w in zip(self.overlap, self.window, strict=True)), "overlap must be below window"

    def cuts(self, axis: int) -> list[int]:
        """Borders of the cores along `axis`, first 0, last the image's extent."""
        size, window, overlap = self.shape[axis], self.window[axis], self.overlap[axis]
        stride = window - overlap
        count = 1 if size <= window else -(-(size - overlap) // stride)
        return [0, *(i * stride + overlap // 2 for i in range(1, count)), size]

    def windows(self, box: Box | None = None) -> Iterator[Window]:
        """All windows in raster order, or those whose cores touch `box`."""
        box = Box.whole(self.shape) if box is None else box
        for index in product(*(self._touching(axis, box) for axis in range(box.ndim))):
            yield self.at(index)

    def at(self, index: Sequence[int]) -> Window:
        """The window with lattice position `index`."""
        start = tuple(i * (w - o) for i, w, o in zip(index, self.window, self.overlap, strict=True))
        stop = tuple(a + w for a, w in zip(start, self.window, strict=True))
        cuts = [self.cuts(axis) for axis in range(len(self.shape))]
        core = Box(
            tuple(c[i] for c, i in zip(cuts, index, strict=True)),
            tuple(c[i + 1] for c, i in zip(cuts, index, strict=True)),
        )
        return Window(Box(start, stop), core)

    def _touching(self, axis: int, box: Box) -> list[int]:
        cuts = self.cuts(axis)
        return [i for i in range(len(cuts) - 1) if cuts[i] < box.stop[axis] and box.start[axis] < cuts[i + 1]]


@dataclass(frozen=True)
class Block:
    """The unit of work, of writing and of resume: a union of window cores."""

    index: int
    core: Box


def blocks(lattice: Lattice, size: Sequence[int] | int | None) -> list[Block]:
    """Partition the image into blocks of about `size` voxels per axis, rounded up to whole window cores.

    `None` gives one block. Blocks are in raster order.
    """
    ndim = len(lattice.shape)
    if size is None:
        return [Block(0, Box.whole(lattice.shape))]
    wanted = (size,) * ndim if isinstance(size, int) else tuple(size)
    spans = [_group(lattice.cuts(axis), wanted[axis]) for axis in range(ndim)]
    return [
        Block(i, Box(tuple(a for a, _ in span), tuple(b for _, b in span))) for i, span in enumerate(product(*spans))
    ]


def _group(cuts: list[int], size: int) -> list[tuple[int, int]]:
    """Join neighbouring cores until each group spans at least `size` voxels."""
    spans, start = [], cuts[0]
    for cut in cuts[1:]:
        if cut - start >= size or cut == cuts[-1]:
            spans.append((start, cut))
            start = cut
    return spans
