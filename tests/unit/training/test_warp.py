from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.testing.scenes import blobs
from toolkit.training.augment import Sample
from toolkit.training.warp import SCALE, _bend, crop_box, margin, warp
from toolkit.values.tiles import Box
from toolkit.values.truth import Truth

BOTH = ("scale", "elastic")
NAMES = [("scale",), ("elastic",), BOTH]
seeds = st.integers(0, 2**32 - 1)


def disk(shape: tuple[int, ...], centre: tuple[float, ...], radius: float, into: tuple[int, ...]) -> Sample:
    """One ball in the middle crop of a sample that is `into` large."""
    grid = np.stack(np.meshgrid(*map(np.arange, into), indexing="ij"), -1)
    offset = (np.array(into) - np.array(shape)) / 2
    labels = (((grid - np.array(centre) - offset) ** 2).sum(-1) < radius**2).astype(np.int32)
    return Sample(labels[None].astype(np.float32), Truth.from_layers(labels[None]))


@pytest.mark.parametrize("names", NAMES)
@pytest.mark.parametrize("shape", [(64, 48), (24, 32, 32)])
@settings(max_examples=30)
@given(seed=seeds)
def test_the_centre_of_a_whole_object_moves_with_the_object(names, shape: tuple[int, ...], seed: int) -> None:
    room = margin(shape, names)
    outer = tuple(n + 2 * r for n, r in zip(shape, room, strict=True))
    middle = tuple((n - 1) / 2 + 3 for n in shape)
    found = warp(disk(shape, middle, 6.0, outer), shape, names, np.random.default_rng(seed))
    assert found.truth.shape == shape
    where = np.argwhere(found.truth.layers[0])
    assert len(where)
    inside = (where > 0).all() and (where < np.array(shape) - 1).all()
    if inside:  # else a part of it is cut off
        assert np.abs(where.mean(0) - found.truth.centres[0]).max() < 0.75


@given(seeds)
def test_labels_and_voxels_bend_alike(seed: int) -> None:
    shape = (48, 48)
    room = margin(shape, BOTH)
    outer = tuple(n + 2 * r for n, r in zip(shape, room, strict=True))
    found = warp(disk(shape, (24.0, 20.0), 9.0, outer), shape, BOTH, np.random.default_rng(seed))
    assert ((found.voxels[0] > 0.5) == (found.truth.layers[0] > 0)).mean() > 0.97


@given(seeds)
def test_a_change_of_scale_makes_objects_larger_or_smaller_within_its_factor(seed: int) -> None:
    shape = (96, 96)
    outer = tuple(n + 2 * r for n, r in zip(shape, margin(shape, ("scale",)), strict=True))
    found = warp(disk(shape, (47.5, 47.5), 20.0, outer), shape, ("scale",), np.random.default_rng(seed))
    factor = np.sqrt((found.truth.layers > 0).sum() / (np.pi * 20**2))
    assert 1 / SCALE - 0.03 < factor < SCALE + 0.03


@pytest.mark.parametrize("names", NAMES)
@settings(max_examples=30)
@given(seed=seeds)
def test_the_margin_is_room_enough(names, seed: int) -> None:
    for shape in ((64, 32), (16, 24, 24)):
        outer = tuple(n + 2 * r for n, r in zip(shape, margin(shape, names), strict=True))
        truth = Truth.from_layers(np.ones((1, *outer), np.int32))
        found = warp(Sample(np.ones((1, *outer), np.float32), truth), shape, names, np.random.default_rng(seed))
        void = 0 if found.truth.void is None else found.truth.void.mean()
        assert void < 0.02  # the bend has no bound, only a spread


@given(seed=seeds, scales=st.sampled_from([(0.25, 0.3), (0.5, 2.0), (2.0, 4.0)]))
@settings(max_examples=30)
def test_crops_are_drawn_over_the_scales_that_are_wanted(seed: int, scales: tuple[float, float]) -> None:
    shape = (48, 48)
    outer = tuple(n + 2 * r for n, r in zip(shape, margin(shape, (), scales), strict=True))
    grid = np.indices(outer) - (np.array(outer)[:, None, None] - 1) / 2
    disc = ((grid**2).sum(0) < 25**2).astype(np.int32)
    sample = Sample(disc[None].astype(np.float32), Truth.from_layers(disc[None]))
    found = warp(sample, shape, (), np.random.default_rng(seed), scales)
    again = warp(sample, shape, (), np.random.default_rng(seed), scales)
    assert (found.truth.layers == again.truth.layers).all()
    radius = np.sqrt(found.truth.layers.sum() / np.pi)
    assert found.truth.void is None
    assert min(25 * scales[0], 24) * 0.93 < radius < min(25 * scales[1] * 1.07, 27.2)
    assert found.voxels.mean() == pytest.approx(found.truth.layers.mean(), abs=0.06)


def test_nothing_to_warp_needs_no_margin() -> None:
    assert margin((64, 64), ("flip", "noise")) == (0, 0)


def test_a_bend_is_isotropic_in_micrometres() -> None:
    shape = (24, 48, 48)

    def spread(size: tuple[float, ...]) -> np.ndarray:
        bends = [_bend(shape, size, np.random.default_rng(seed)) for seed in range(20)]
        return np.sqrt(np.mean(np.square(bends), axis=(0, 2, 3, 4)))

    even, coarse = spread((1.0, 1.0, 1.0)), spread((3.0, 1.0, 1.0))
    assert np.allclose(even, 0.04 * 48 * 0.75, rtol=0.3)  # a spline is a little smoother than its knots
    assert np.allclose(coarse * [3, 1, 1], even, rtol=0.3)


@given(seeds)
def test_what_lies_beyond_the_image_stays_void(seed: int) -> None:
    scene = blobs((12, 20), seed=1, radius=(2, 4))
    shape = (32, 32)
    box = crop_box(np.array([6.0, 10.0]), shape, scene.shape).grow(margin(shape, BOTH))
    given_sample = Sample(scene.image.read_reflected(box).astype(np.float32), scene.truth.crop(box))
    found = warp(given_sample, shape, BOTH, np.random.default_rng(seed))
    assert found.truth.void is not None
    assert 0 < found.truth.void.mean() < 1
    assert not found.truth.layers[:, found.truth.void].any()


@given(st.lists(st.tuples(st.floats(-50, 150), st.integers(1, 40), st.integers(1, 60)), min_size=2, max_size=3))
def test_a_crop_lies_in_the_image_as_far_as_it_fits(axes: list[tuple[float, int, int]]) -> None:
    around, shape, within = (tuple(x) for x in zip(*axes, strict=True))
    box = crop_box(np.array(around), shape, within)
    assert box.shape == shape
    for axis in range(len(shape)):
        if shape[axis] <= within[axis]:
            assert box.start[axis] >= 0
            assert box.stop[axis] <= within[axis]
            wanted = around[axis] - shape[axis] / 2
            if 1 <= wanted <= within[axis] - shape[axis] - 1:
                assert abs(box.start[axis] - wanted) <= 0.5
        else:
            assert Box((0,), (within[axis],)) in Box((box.start[axis],), (box.stop[axis],))
            assert abs((box.start[axis] + box.stop[axis]) - within[axis]) <= 1
