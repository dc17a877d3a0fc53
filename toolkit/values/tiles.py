"""Pure integer geometry: boxes, the lattice of windows that the network sees, blocks of work."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise, product
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


def boxes(shape: Sequence[int], size: Sequence[int]) -> Iterator[Box]:
    """An array of `shape` in boxes of `size`, in raster order; those at its far borders may be smaller."""
    for start in product(*(range(0, n, s) for n, s in zip(shape, size, strict=True))):
        yield Box(start, tuple(min(a + s, n) for a, s, n in zip(start, size, shape, strict=True)))


@dataclass(frozen=True)
class Window:
    """What the network sees at once. `outer` may reach beyond a small image; `core` is what the window answers for."""

    outer: Box
    core: Box


@dataclass(frozen=True)
class Lattice:
    """Windows of one shape, anchored at the image origin; their cores partition the image.

    Windows step from the origin and the last of an axis ends with the image. Neighbours share at least `overlap` voxels
    and meet in the middle of what they share, so every core voxel that is not at the image border has at least
    `overlap // 2` voxels of context. An axis no longer than the window has one window.
    """

    shape: Shape
    window: Shape
    overlap: Shape

    def __post_init__(self) -> None:
        assert all(0 <= o < w for o, w in zip(self.overlap, self.window, strict=True)), "overlap must be below window"

    @classmethod
    def fitted(cls, shape: Shape, window: Shape, overlap: Shape, stride: Shape) -> Lattice:
        """As few windows as those of `window` and `overlap` on an image of `shape`, and as small as so few can be:
        multiples of `stride`, of which `window` is one; two of it at least, because a network may need neighbours where
        it sees coarsest."""
        count = [len(cuts) - 1 for cuts in map(cls(shape, window, overlap).cuts, range(len(shape)))]
        least = [-(-(n - o) // c) + o for n, o, c in zip(shape, overlap, count, strict=True)]
        small = tuple(min(w, max(2, -(-n // s)) * s) for n, s, w in zip(least, stride, window, strict=True))
        return cls(shape, small, tuple(min(o, w - 1) for o, w in zip(overlap, small, strict=True)))

    @cached_property
    def _spans(self) -> list[tuple[list[int], list[int]]]:
        """Where the windows begin along each axis, and the borders of their cores."""
        found = []
        for size, window, overlap in zip(self.shape, self.window, self.overlap, strict=True):
            step = window - overlap
            count = 1 if size <= window else -(-(size - overlap) // step)
            starts = [*(i * step for i in range(count - 1)), max(0, size - window)]
            found.append((starts, [0, *((a + window + b) // 2 for a, b in pairwise(starts)), size]))
        return found

    def cuts(self, axis: int) -> list[int]:
        """Borders of the cores along `axis`, first 0, last the image's extent."""
        return self._spans[axis][1]

    def windows(self, box: Box | None = None) -> Iterator[Window]:
        """All windows in raster order, or those whose cores touch `box`."""
        box = Box.whole(self.shape) if box is None else box
        for index in product(*(self._touching(axis, box) for axis in range(box.ndim))):
            yield self.at(index)

    def numbers(self, box: Box) -> list[int]:
        """Which of all windows, counted in raster order from 0, have cores that touch `box`."""
        count, found = [len(cuts) - 1 for cuts in map(self.cuts, range(box.ndim))], [0]
        for axis, many in enumerate(count):
            found = [n * many + i for n in found for i in self._touching(axis, box)]
        return found

    def numbered(self, number: int) -> Window:
        """One of all windows, counted in raster order from 0."""
        index: list[int] = []
        for axis in reversed(range(len(self.shape))):
            number, i = divmod(number, len(self.cuts(axis)) - 1)
            index.insert(0, i)
        return self.at(index)

    def at(self, index: Sequence[int]) -> Window:
        """The window with lattice position `index`."""
        along = list(zip(index, self._spans, strict=True))
        start = tuple(starts[i] for i, (starts, _) in along)
        stop = tuple(a + w for a, w in zip(start, self.window, strict=True))
        return Window(Box(start, stop), Box(tuple(c[i] for i, (_, c) in along), tuple(c[i + 1] for i, (_, c) in along)))

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
