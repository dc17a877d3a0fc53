from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.values.instances import Instances
from toolkit.values.tiles import Box


@st.composite
def planes(draw: st.DrawFn, most: int = 6) -> np.ndarray:
    """Objects of a small image, one plane each, in one or more pieces; they may overlap, be equal or be empty."""
    shape = draw(st.sampled_from([(1, 1), (1, 9), (7, 6), (3, 4, 5), (1, 5, 4)]))
    count = draw(st.integers(0, most))
    out = np.zeros((count, *shape), bool)
    for plane in out:
        for _ in range(draw(st.integers(0, 2))):
            start = [draw(st.integers(0, n - 1)) for n in shape]
            stop = [draw(st.integers(a + 1, n)) for a, n in zip(start, shape, strict=True)]
            plane[tuple(map(slice, start, stop))] = True
    return out


@st.composite
def boxes(draw: st.DrawFn, shape: tuple[int, ...], beyond: int = 3) -> Box:
    start = [draw(st.integers(-beyond, n)) for n in shape]
    return Box(tuple(start), tuple(draw(st.integers(a, n + beyond)) for a, n in zip(start, shape, strict=True)))


def dense(instances: Instances) -> np.ndarray:
    """One plane per object, in the order of the objects."""
    out = np.zeros((len(instances), *instances.shape), bool)
    for k in range(len(instances)):
        out[k].reshape(-1)[instances.voxels(k)] = True
    return out


def as_set(stack: np.ndarray) -> list[bytes]:
    """The objects of a stack of planes without their order; empty ones are no objects."""
    return sorted(plane.tobytes() for plane in stack if plane.any())


def flat(stack: np.ndarray) -> np.ndarray:
    """One row of voxels per plane."""
    return stack.reshape(len(stack), int(np.prod(stack.shape[1:])))


@given(planes())
def test_planes_make_objects_and_objects_make_planes(stack: np.ndarray) -> None:
    instances = Instances.from_planes(stack)
    assert as_set(dense(instances)) == as_set(stack)
    assert Instances.from_planes(dense(instances)) == instances
    assert instances.sizes.tolist() == flat(dense(instances)).sum(1).tolist()


@given(planes())
def test_labels_make_objects_and_objects_make_labels(stack: np.ndarray) -> None:
    labels = np.zeros(stack.shape[1:], np.int64)
    for k, plane in enumerate(stack):
        labels[plane] = 7 * k + 2
    instances = Instances.from_labels(labels)
    assert len(instances) == len(np.unique(labels[labels > 0]))
    again = instances.to_labels()
    assert np.array_equal(again > 0, labels > 0)
    assert Instances.from_labels(again) == instances
    # Ids follow the canonical order.
    first = [int(np.flatnonzero(again.reshape(-1) == k)[0]) for k in range(1, len(instances) + 1)]
    assert first == sorted(first)


@given(planes())
def test_layers_hold_every_object_whole_and_no_layer_has_two_at_one_voxel(stack: np.ndarray) -> None:
    instances = Instances.from_planes(stack)
    layers = instances.layers()
    assert len(layers) >= 1
    assert as_set(np.array([(layers == k + 1).any(0) for k in range(len(instances))])) == as_set(stack)
    assert Instances.from_layers(layers) == instances
    for k in range(len(instances)):
        assert (layers == k + 1).any(axis=tuple(range(1, layers.ndim))).sum() == 1
    if not (stack.sum(0) > 1).any():
        assert len(layers) == 1


@given(planes(), st.randoms(use_true_random=False))
def test_the_order_of_the_input_changes_nothing(stack: np.ndarray, random) -> None:
    scores = np.linspace(0, 1, len(stack), dtype=np.float32)
    order = list(range(len(stack)))
    random.shuffle(order)
    first, second = Instances.from_planes(stack, scores), Instances.from_planes(stack[order], scores[order])
    assert first == second
    assert first.scores.tolist() == second.scores.tolist()
    assert np.array_equal(first.layers(), second.layers())
    assert np.array_equal(first.to_labels(), second.to_labels())


@given(planes())
def test_objects_are_ordered_by_first_voxel_then_size_then_runs_then_score(stack: np.ndarray) -> None:
    instances = Instances.from_planes(stack, np.arange(len(stack)) / 8)
    keys = []
    for k in range(len(instances)):
        span = slice(instances.offsets[k], instances.offsets[k + 1])
        pieces = (instances.start[span].tolist(), instances.length[span].tolist())
        keys.append((pieces[0][0], int(instances.sizes[k]), *pieces, -instances.scores[k]))
    assert keys == sorted(keys)


@given(planes())
def test_boxes_and_masks_are_those_of_the_dense_objects(stack: np.ndarray) -> None:
    instances = Instances.from_planes(stack)
    for k, plane in enumerate(dense(instances)):
        where = np.argwhere(plane)
        box, mask = instances.mask(k)
        assert box == Box(tuple(where.min(0).tolist()), tuple((where.max(0) + 1).tolist()))
        assert np.array_equal(mask, plane[box.slices])


@given(planes(), st.data())
def test_a_crop_shows_what_the_box_shows_of_each_object(stack: np.ndarray, data: st.DataObject) -> None:
    instances = Instances.from_planes(stack, np.linspace(0.1, 0.9, len(stack)))
    box = data.draw(boxes(stack.shape[1:]))
    wide = np.pad(dense(instances), ((0, 0), *((9, 9),) * (stack.ndim - 1)))
    part = wide[(slice(None), *box.shift((9,) * box.ndim).slices)]
    found = instances.crop(box)
    assert found.shape == box.shape
    assert as_set(dense(found)) == as_set(part)
    seen = flat(part).any(1)
    assert sorted(found.scores.tolist()) == sorted(instances.scores[seen].tolist())


@given(planes(), st.data())
def test_placing_objects_in_an_image_keeps_what_was_asked_for(stack: np.ndarray, data: st.DataObject) -> None:
    instances = Instances.from_planes(stack)
    shape = tuple(n + 6 for n in stack.shape[1:])
    at = tuple(data.draw(st.integers(-3, 9)) for _ in shape)
    box, keep = Box(at, tuple(a + n for a, n in zip(at, stack.shape[1:], strict=True))), data.draw(boxes(shape))
    placed = instances.place(box, shape, keep)
    canvas = np.zeros((len(stack), *(n + 24 for n in shape)), bool)
    canvas[(slice(None), *box.shift((12,) * len(shape)).slices)] = stack
    inside = np.zeros(canvas.shape[1:], bool)
    inside[(keep & Box.whole(shape)).shift((12,) * len(shape)).slices] = True
    wanted = (canvas & inside)[(slice(None), *Box.whole(shape).shift((12,) * len(shape)).slices)]
    assert placed.shape == shape
    assert as_set(dense(placed)) == as_set(wanted)
    assert Instances.from_planes(stack).place(Box.whole(stack.shape[1:]), stack.shape[1:]) == Instances.from_planes(
        stack
    )


@given(planes(), planes())
def test_intersections_are_those_counted_voxel_by_voxel(a: np.ndarray, b: np.ndarray) -> None:
    if a.shape[1:] != b.shape[1:]:
        b = a[::-1]
    one, two = Instances.from_planes(a), Instances.from_planes(b)
    counted = np.einsum("iv,jv->ij", flat(dense(one)) * 1, flat(dense(two)) * 1)
    i, j, shared = one.intersections(two)
    assert (np.diff(i * max(1, len(two)) + j) > 0).all()
    found = np.zeros((len(one), len(two)), int)
    found[i, j] = shared
    assert np.array_equal(found, counted)
    p, q, both = one.overlapping_pairs()
    own = np.triu(np.einsum("iv,jv->ij", *[flat(dense(one)) * 1] * 2), 1)
    assert list(zip(p, q, both, strict=True)) == [(m, n, own[m, n]) for m, n in np.argwhere(own)]


@given(planes(), st.data())
def test_selecting_keeps_the_objects_and_their_scores_in_order(stack: np.ndarray, data: st.DataObject) -> None:
    instances = Instances.from_planes(stack, np.linspace(0, 1, len(stack)))
    keep = np.array(data.draw(st.lists(st.booleans(), min_size=len(instances), max_size=len(instances))), bool)
    chosen = instances.select(keep)
    assert np.array_equal(dense(chosen), dense(instances)[keep])
    assert chosen.scores.tolist() == instances.scores[keep].tolist()
    assert instances.select(np.flatnonzero(keep)[::-1]) == chosen


@given(planes(), planes())
def test_concatenating_keeps_all_objects_of_all_parts(a: np.ndarray, b: np.ndarray) -> None:
    b = b if a.shape[1:] == b.shape[1:] else a
    both = Instances.concatenate(a.shape[1:], [Instances.from_planes(a), Instances.from_planes(b)])
    assert both == Instances.from_planes(np.concatenate([a, b]))


@given(planes(), st.randoms(use_true_random=False))
def test_runs_that_overlap_or_touch_are_joined_and_never_across_a_row(stack: np.ndarray, random) -> None:
    instances = Instances.from_planes(stack)
    pieces = []
    for a, n, k in zip(instances.start, instances.length, instances.owner, strict=True):
        cut = random.randint(1, int(n))
        pieces += [(a, cut, k), (a + cut - 1, n - cut + 1, k)]  # two halves that share a voxel
    random.shuffle(pieces)
    start, length, owner = np.array(pieces, np.int64).reshape(-1, 3).T
    again = Instances.from_runs(instances.shape, start, length, owner)
    assert again == instances
    width = instances.shape[-1]
    assert (again.start // width == (again.start + again.length - 1) // width).all()


def test_where_objects_overlap_the_higher_score_is_painted_then_the_lower_id() -> None:
    stack = np.array([[1, 1, 1, 0], [0, 1, 1, 1]], bool)[:, None]
    assert Instances.from_planes(stack, [0.2, 0.8]).to_labels().tolist() == [[1, 2, 2, 2]]
    assert Instances.from_planes(stack, [0.8, 0.2]).to_labels().tolist() == [[1, 1, 1, 2]]
    assert Instances.from_planes(stack, [0.5, 0.5]).to_labels().tolist() == [[1, 1, 1, 2]]


def test_a_label_in_two_layers_is_one_object_and_negative_labels_are_none() -> None:
    layers = np.array([[[1, 1, 0, -1]], [[0, 0, 1, 2]]])
    instances = Instances.from_layers(layers, scores={1: 0.5})
    assert instances.sizes.tolist() == [3, 1]
    assert instances.scores.tolist() == [0.5, 1.0]


def test_owners_without_voxels_vanish_with_their_scores() -> None:
    instances = Instances.from_runs(
        (1, 9), np.array([4, 0]), np.array([2, 0]), np.array([2, 0]), np.array([0.1, 0, 0.7])
    )
    assert (len(instances), instances.scores.tolist()) == (1, [pytest.approx(0.7)])
    assert len(Instances.empty((3, 4))) == 0
    assert Instances.empty((3, 4)).layers().shape == (1, 3, 4)


def test_the_digest_tells_objects_apart_by_shape_and_voxels_and_not_by_score() -> None:
    base = Instances.from_labels(np.array([[1, 0], [0, 2]]), {1: 0.3})
    assert base == Instances.from_labels(np.array([[5, 0], [0, 9]]))
    assert base != Instances.from_labels(np.array([[1, 0], [0, 1]]))
    assert base != Instances.from_labels(np.array([[1, 0, 0, 2]]))
    assert len({base, Instances.from_labels(np.array([[5, 0], [0, 9]]))}) == 1


@pytest.mark.parametrize("count", [65_535, 65_536])
def test_ids_are_as_wide_as_they_must_be(count: int) -> None:
    labels = np.zeros((1, 2 * count), np.int32)
    labels[0, ::2] = np.arange(1, count + 1)
    out = Instances.from_labels(labels).to_labels()
    assert out.dtype == (np.uint16 if count < 65_536 else np.uint32)
    assert int(out.max()) == count


@pytest.mark.slow
def test_a_million_objects_take_little_more_memory_than_their_runs() -> None:
    side = 3000  # blocks of 2×2 voxels in cells of 3×3
    rows, columns = np.meshgrid(np.arange(0, side, 3), np.arange(0, side, 3), indexing="ij")
    first = (rows * side + columns).reshape(-1)
    owner = np.repeat(np.arange(len(first)), 2)
    start = np.stack([first, first + side], 1).reshape(-1)
    tracemalloc.start()
    instances = Instances.from_runs((side, side), start, np.full(len(start), 2), owner)
    held, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(instances) == 10**6
    assert held < 40 * len(start)
    assert most < 400 * len(start)
    assert (instances.sizes == 4).all()
    assert instances.layers().shape == (1, side, side)
    assert len(instances.crop(Box((0, 0), (300, 300)))) == 10**4


@settings(max_examples=30)
@given(planes())
def test_nothing_changes_its_input(stack: np.ndarray) -> None:
    before = stack.copy()
    instances = Instances.from_planes(stack)
    arrays = [x.copy() for x in (instances.start, instances.length, instances.offsets, instances.scores)]
    instances.layers()
    instances.to_labels()
    instances.crop(Box.whole(instances.shape))
    instances.intersections(instances)
    assert np.array_equal(stack, before)
    for was, now in zip(arrays, (instances.start, instances.length, instances.offsets, instances.scores), strict=True):
        assert np.array_equal(was, now)
