from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from toolkit.values.instances import Instances
from toolkit.values.tiles import Box
from toolkit.values.truth import UNANNOTATED, Truth

SHAPES = ((6, 7), (3, 5, 4))


@st.composite
def truths(draw: st.DrawFn) -> Truth:
    shape = draw(st.sampled_from(SHAPES))
    layers = np.zeros((draw(st.integers(1, 3)), *shape), np.int32)
    for at, layer in enumerate(layers):
        for value in draw(st.lists(st.sampled_from([UNANNOTATED, 0, 1, 2]), max_size=4)):
            start = [draw(st.integers(0, n - 1)) for n in shape]
            stop = [draw(st.integers(a + 1, n)) for a, n in zip(start, shape, strict=True)]
            layer[tuple(map(slice, start, stop))] = value + 10 * at if value > 0 else value
    void = np.zeros(shape, bool)
    void[..., : draw(st.integers(0, 2))] = True
    return Truth.from_layers(layers, void)


@given(truths())
def test_a_voxel_is_unannotated_only_where_no_annotated_object_is(truth: Truth) -> None:
    missing = (truth.layers == UNANNOTATED).any(0) & ~(truth.layers > 0).any(0)
    assert np.array_equal(truth.unannotated, missing)
    void = np.zeros(truth.shape, bool) if truth.void is None else truth.void
    assert np.array_equal(truth.known, ~missing & ~void)
    assert np.array_equal(truth.covered, (truth.layers > 0).sum(0))


@given(truths())
def test_centres_are_the_centres_of_mass_of_the_objects(truth: Truth) -> None:
    assert truth.ids.tolist() == sorted(set(truth.layers[truth.layers > 0].tolist()))
    for name, centre in zip(truth.ids, truth.centres, strict=True):
        assert np.allclose(np.argwhere(truth.layers == name)[:, 1:].mean(0), centre)


@given(truths(), st.data())
def test_a_crop_shows_the_layers_and_moves_the_centres_of_the_whole_objects(truth: Truth, data: st.DataObject) -> None:
    start = tuple(data.draw(st.integers(-4, n + 2)) for n in truth.shape)
    box = Box(start, tuple(a + data.draw(st.integers(1, 9)) for a in start))
    crop = truth.crop(box)
    pad = 12
    wide = np.pad(truth.layers, ((0, 0), *((pad, pad),) * truth.ndim))
    void = np.pad(np.zeros(truth.shape, bool) if truth.void is None else truth.void, pad, constant_values=True)
    at = box.shift((pad,) * truth.ndim).slices
    assert np.array_equal(crop.layers, wide[(slice(None), *at)])
    assert np.array_equal(np.zeros(crop.shape, bool) if crop.void is None else crop.void, void[at])
    assert np.array_equal(crop.ids, truth.ids)
    assert np.allclose(crop.centres + box.start, truth.centres)


@given(truths(), st.data())
def test_a_crop_of_a_crop_is_a_crop(truth: Truth, data: st.DataObject) -> None:
    start = tuple(data.draw(st.integers(0, n - 1)) for n in truth.shape)
    stop = tuple(data.draw(st.integers(a + 1, n)) for a, n in zip(start, truth.shape, strict=True))
    inner = Box(start, stop)
    twice = truth.crop(Box.whole(truth.shape).grow((2,) * truth.ndim)).crop(inner.shift((2,) * truth.ndim))
    once = truth.crop(inner)
    assert np.array_equal(twice.layers, once.layers)
    assert np.array_equal(twice.known, once.known)
    assert np.allclose(twice.centres, once.centres)


def test_planes_that_overlap_become_layers_and_the_same_objects() -> None:
    planes = np.zeros((3, 4, 6), bool)
    planes[0, :, :3] = planes[1, :, 2:5] = planes[2, :2, 5:] = True
    truth = Truth.from_planes(planes)
    assert len(truth.layers) == 2
    assert truth.instances == Instances.from_planes(planes)
    assert truth.covered.max() == 2
    assert Truth.from_instances(truth.instances).instances == truth.instances


def test_no_objects_no_centres() -> None:
    truth = Truth.from_layers(np.zeros((1, 2, 3), int))
    assert truth.centres.shape == (0, 2)
    assert truth.void is None
    assert truth.voxel_size == (1.0, 1.0)
    assert truth.known.all()


def test_more_objects_than_a_byte_counts_may_share_a_voxel() -> None:
    assert Truth.from_planes(np.ones((256, 1, 2))).covered.tolist() == [[256, 256]]
