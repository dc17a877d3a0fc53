from __future__ import annotations

from math import prod

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from toolkit.values.tiles import Box, Lattice, blocks, slabs

boxes = (
    st.integers(1, 3)
    .flatmap(lambda n: st.lists(st.tuples(st.integers(-20, 20), st.integers(0, 15)), min_size=n, max_size=n))
    .map(lambda spans: Box(tuple(a for a, _ in spans), tuple(a + n for a, n in spans)))
)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Box, Box]:
    first = draw(boxes)
    return first, draw(boxes.filter(lambda b: b.ndim == first.ndim))


@st.composite
def lattices(draw: st.DrawFn, least: int = 1) -> Lattice:
    axes = draw(st.sampled_from((2, 3)))
    shape = draw(st.lists(st.integers(least, 40 if axes == 2 else 14), min_size=axes, max_size=axes))
    window = draw(st.lists(st.integers(1, 16), min_size=axes, max_size=axes))
    overlap = [draw(st.integers(0, w - 1)) for w in window]
    return Lattice(tuple(shape), tuple(window), tuple(overlap))


def painted(parts: list[Box], shape: tuple[int, ...]) -> np.ndarray:
    """How often each voxel is in one of the boxes."""
    count = np.zeros(shape, int)
    for box in parts:
        assert box.size > 0
        assert box in Box.whole(shape)
        count[box.slices] += 1
    return count


@given(pairs())
def test_the_common_part_of_two_boxes_holds_the_voxels_that_are_in_both(two: tuple[Box, Box]) -> None:
    a, b = two
    origin = Box((-40,) * a.ndim, (60,) * a.ndim)
    dense = []
    for box in (a, b, a & b):
        mask = np.zeros(origin.shape, bool)
        mask[box.relative_to(origin).slices] = True
        dense.append(mask)
    assert np.array_equal(dense[2], dense[0] & dense[1])
    assert (a & b).size == dense[2].sum()
    assert (a & b) == (a & b) & a
    assert ((a & b) in a) == ((b & a) in a)


@given(boxes, st.integers(-30, 30), st.integers(0, 9))
def test_a_box_moved_away_and_back_is_the_same_and_grows_on_both_sides(box: Box, by: int, margin: int) -> None:
    there = (by,) * box.ndim
    assert box.shift(there).shift((-by,) * box.ndim) == box
    assert box.relative_to(box) == Box.whole(box.shape)
    assert box.grow((margin,) * box.ndim).shape == tuple(n + 2 * margin for n in box.shape)
    assert box.grow((margin,) * box.ndim, within=(10,) * box.ndim) in Box.whole((10,) * box.ndim) or (
        box.grow((margin,) * box.ndim, within=(10,) * box.ndim).size == 0
    )


@given(lattices())
def test_window_cores_partition_the_image(lattice: Lattice) -> None:
    windows = list(lattice.windows())
    assert (painted([w.core for w in windows], lattice.shape) == 1).all()
    assert [w.core for w in windows] == sorted(w.core for w in windows)


@given(lattices())
def test_windows_have_one_shape_hold_their_core_and_give_it_context(lattice: Lattice) -> None:
    for window in lattice.windows():
        assert window.outer.shape == lattice.window
        assert window.core in window.outer
        for axis, size in enumerate(lattice.shape):
            context = lattice.overlap[axis] // 2
            assert window.core.start[axis] == 0 or window.core.start[axis] - window.outer.start[axis] >= context
            assert window.core.stop[axis] == size or window.outer.stop[axis] - window.core.stop[axis] >= context
            assert window.outer.stop[axis] <= max(size, lattice.window[axis]), "the last window ends with the image"


@given(lattices(), st.integers(1, 4))
def test_fitted_windows_are_as_few_and_as_small_as_so_few_can_be(lattice: Lattice, stride: int) -> None:
    window = tuple(-(-n // stride) * stride for n in lattice.window)
    plain = Lattice(lattice.shape, window, lattice.overlap)
    found = Lattice.fitted(lattice.shape, window, lattice.overlap, (stride,) * len(window))
    assert (painted([w.core for w in found.windows()], lattice.shape) == 1).all()
    for axis, size in enumerate(lattice.shape):
        count, fitted = len(plain.cuts(axis)) - 1, found.window[axis]
        assert len(found.cuts(axis)) - 1 == count
        assert fitted % stride == 0
        assert fitted <= window[axis]
        assert found.overlap[axis] == lattice.overlap[axis] or count == 1
        smaller = fitted - stride
        shared = min(lattice.overlap[axis], smaller - 1)
        covered = smaller * count - shared * (count - 1)
        assert smaller < 2 * stride or smaller <= shared or covered < size, "a smaller one would not do"


def test_an_axis_shorter_than_the_window_has_one_window_of_its_extent_rounded_up_to_the_stride() -> None:
    assert Lattice.fitted((520, 696), (512, 512), (64, 64), (16, 16)).window == (304, 384)
    assert Lattice.fitted((100, 2048), (512, 512), (64, 64), (16, 16)).window == (112, 464)
    assert Lattice.fitted((3, 512, 20), (16, 128, 128), (8, 32, 32), (4, 8, 8)).window == (8, 128, 24)


@given(lattices())
def test_an_axis_no_longer_than_the_window_has_one_window(lattice: Lattice) -> None:
    for axis, size in enumerate(lattice.shape):
        assert (len(lattice.cuts(axis)) == 2) == (size <= lattice.window[axis])


@given(lattices(), st.data())
def test_the_windows_of_a_box_are_those_whose_cores_touch_it(lattice: Lattice, data: st.DataObject) -> None:
    start = tuple(data.draw(st.integers(0, n - 1)) for n in lattice.shape)
    stop = tuple(data.draw(st.integers(a + 1, n)) for a, n in zip(start, lattice.shape, strict=True))
    box = Box(start, stop)
    assert list(lattice.windows(box)) == [w for w in lattice.windows() if (w.core & box).size]


@given(lattices(), st.data())
def test_windows_are_counted_in_raster_order(lattice: Lattice, data: st.DataObject) -> None:
    windows = list(lattice.windows())
    assert [lattice.numbered(number) for number in range(len(windows))] == windows
    start = tuple(data.draw(st.integers(0, n - 1)) for n in lattice.shape)
    box = Box(start, tuple(data.draw(st.integers(a + 1, n)) for a, n in zip(start, lattice.shape, strict=True)))
    assert [windows[number] for number in lattice.numbers(box)] == list(lattice.windows(box))


@given(lattices(), st.one_of(st.none(), st.integers(1, 50)))
def test_blocks_partition_the_image_along_window_cores(lattice: Lattice, size: int | None) -> None:
    parts = blocks(lattice, size)
    assert (painted([b.core for b in parts], lattice.shape) == 1).all()
    assert [b.index for b in parts] == list(range(len(parts)))
    assert [b.core for b in parts] == sorted(b.core for b in parts)
    for block in parts:
        inside = [w.core for w in lattice.windows(block.core)]
        assert all(core in block.core for core in inside)
        assert sum(core.size for core in inside) == block.core.size


@given(lattices(), st.integers(1, 50))
def test_a_block_has_at_least_the_wanted_size_unless_it_is_the_last_of_its_row(lattice: Lattice, size: int) -> None:
    for block in blocks(lattice, size):
        for axis, extent in enumerate(lattice.shape):
            assert block.core.shape[axis] >= size or block.core.stop[axis] == extent
            low, high = block.core.start[axis], block.core.stop[axis]
            assert all(cut - low < size for cut in lattice.cuts(axis) if low < cut < high), "no core too many"


def test_a_box_holds_another_that_neither_begins_before_it_nor_ends_after_it() -> None:
    box = Box((3, 3), (6, 6))
    held = [Box((a, 3), (b, 6)) in box for a, b in ((3, 6), (4, 5), (2, 5), (4, 7))]
    assert held == [True, True, False, False]


@given(lattices())
def test_no_size_means_one_block_and_sizes_may_differ_by_axis(lattice: Lattice) -> None:
    (only,) = blocks(lattice, None)
    assert only.core == Box.whole(lattice.shape)
    assert blocks(lattice, lattice.shape) == [only]
    slabs = blocks(lattice, (1, *lattice.shape[1:]))
    assert len(slabs) == len(lattice.cuts(0)) - 1
    assert all(b.core.shape[1:] == lattice.shape[1:] for b in slabs)


def test_the_size_of_a_box_is_the_product_of_its_extents() -> None:
    assert Box((1, 2, 3), (4, 4, 4)).size == prod((3, 2, 1))
    assert Box((5,), (3,)).size == 0


@given(st.lists(st.integers(1, 12), min_size=1, max_size=3), st.integers(1, 200), st.integers(1, 4))
def test_slabs_partition_an_array_in_whole_units_of_rows(shape: list[int], most: int, unit: int) -> None:
    parts = list(slabs(shape, most, unit))
    assert (painted(parts, tuple(shape)) == 1).all()
    assert all(part.shape[0] % unit == 0 for part in parts[:-1])
    assert all(part.size <= max(most, unit * prod(shape[1:])) for part in parts)
