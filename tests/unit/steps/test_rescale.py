"""Images resampled before the network, objects brought back after it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.steps.rescale import rescale, rescaled, restore, stepped
from toolkit.values.image import Image
from toolkit.values.instances import Instances
from toolkit.values.tiles import Box

sizes = st.one_of(st.tuples(st.integers(1, 23), st.integers(1, 23)), st.tuples(*(st.integers(1, 9) for _ in range(3))))


@st.composite
def scenes(draw: Any) -> tuple[np.ndarray, tuple[float, ...], Box]:
    """Labels, factors and a box of the rescaled image."""
    shape = draw(sizes)
    by = tuple(2 ** (draw(st.integers(-20, 14)) / 8) for _ in shape)
    seen = rescaled(shape, by)
    start = tuple(draw(st.integers(0, n - 1)) for n in seen)
    stop = tuple(draw(st.integers(a + 1, n)) for a, n in zip(start, seen, strict=True))
    return np.random.default_rng(draw(st.integers(0, 99))).integers(0, 5, shape), by, Box(start, stop)


@given(scenes())
def test_a_voxel_is_the_same_whatever_is_read_with_it(drawn: Any) -> None:
    labels, by, box = drawn
    image = rescale(Image.from_array(labels.astype(np.uint16)), by)
    whole = image.read()
    assert whole.shape[1:] == image.shape == rescaled(labels.shape, by)
    np.testing.assert_array_equal(image.read(box), whole[(slice(None), *box.slices)])
    assert whole.min() >= labels.min() - 1e-5
    assert whole.max() <= labels.max() + 1e-5


@given(scenes())
def test_an_even_image_stays_even(drawn: Any) -> None:
    labels, by, _ = drawn
    image = rescale(Image.from_array(np.full(labels.shape, 7, np.uint8), voxel_size=(1.0,) * labels.ndim), by)
    np.testing.assert_allclose(image.read(), 7, rtol=1e-5)
    assert image.voxel_size == tuple(1 / b for b in by)


@pytest.mark.parametrize("by", [0.25, 0.5, 2**-0.5, 2**0.125, 2.0, 3.0])
def test_what_is_seen_lies_where_it_lay(by: float) -> None:
    ramp = np.broadcast_to(np.arange(64, dtype=np.float32), (8, 64))
    seen = rescale(Image.from_array(ramp.copy()), (1.0, by)).read()[0, 4]
    where = (np.arange(len(seen)) + 0.5) / by - 0.5
    inside = (where > 2 / by + 1) & (where < 62 - 2 / by)
    np.testing.assert_allclose(seen[inside], where[inside], atol=0.1)


@given(scenes())
def test_objects_come_back_voxel_by_voxel(drawn: Any) -> None:
    labels, by, _ = drawn
    seen = np.random.default_rng(labels.size).integers(0, 4, rescaled(labels.shape, by))
    index = [
        np.minimum(np.floor((np.arange(n) + 0.5) * b).astype(int), m - 1)
        for n, b, m in zip(labels.shape, by, seen.shape, strict=True)
    ]
    assert restore(Instances.from_labels(seen), by, labels.shape) == Instances.from_labels(seen[np.ix_(*index)])


def test_objects_without_a_voxel_of_the_image_vanish() -> None:
    seen = np.zeros((4, 8), int)
    seen[1, 1], seen[3, 4:] = 1, 2
    found = restore(Instances.from_labels(seen, {1: 0.25, 2: 0.75}), (2.0, 2.0), (2, 4))
    assert found.to_labels().tolist() == [[1, 0, 0, 0], [0, 0, 2, 2]]
    seen[1, 1], seen[0, 2] = 0, 1
    found = restore(Instances.from_labels(seen, {1: 0.25, 2: 0.75}), (2.0, 2.0), (2, 4))
    assert found.scores.tolist() == [0.75]


def test_overlapping_objects_keep_their_overlap_and_scores() -> None:
    planes = np.zeros((2, 3, 3), bool)
    planes[0, :2], planes[1, 1:] = True, True
    found = restore(Instances.from_planes(planes, [0.25, 0.75]), (0.5, 0.5), (6, 6))
    assert found.overlapping_pairs()[2].tolist() == [12]
    assert found.scores.tolist() == [0.25, 0.75]


def test_a_factor_of_one_changes_nothing() -> None:
    image, objects = Image.from_array(np.zeros((3, 4))), Instances.from_labels(np.ones((3, 4), int))
    assert rescale(image, (1.0, 1.0)) is image is rescale(image, ())
    assert restore(objects, (1.0, 1.0), (3, 4)) is objects


def test_factors_are_eighths_of_an_octave() -> None:
    assert [stepped(f) for f in (1.03, 0.97, 2.0, 0.48)] == [1.0, 1.0, 2.0, 0.5]
    assert stepped(1.1) == pytest.approx(2**0.125)
