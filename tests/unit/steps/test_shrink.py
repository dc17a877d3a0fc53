"""Images averaged before the network, objects enlarged after it."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from toolkit.steps.shrink import enlarge, shrink, shrink_truth
from toolkit.values.image import Image
from toolkit.values.instances import Instances
from toolkit.values.tiles import Box
from toolkit.values.truth import Truth

sizes = st.one_of(st.tuples(st.integers(1, 13), st.integers(1, 13)), st.tuples(*(st.integers(1, 7) for _ in range(3))))


@st.composite
def scenes(draw: Any) -> tuple[np.ndarray, tuple[int, ...], Box]:
    """Labels, factors and a box of the shrunk image."""
    shape = draw(sizes)
    by = tuple(draw(st.integers(1, 4)) for _ in shape)
    small = [-(-n // b) for n, b in zip(shape, by, strict=True)]
    start = tuple(draw(st.integers(0, n - 1)) for n in small)
    stop = tuple(draw(st.integers(a + 1, n)) for a, n in zip(start, small, strict=True))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    return rng.integers(0, 5, shape), by, Box(start, stop)


@given(scenes())
def test_a_box_of_the_shrunk_image_is_the_mean_of_what_it_stands_for(drawn: Any) -> None:
    labels, by, box = drawn
    small = shrink(Image.from_array(labels.astype(np.uint16)), by)
    found = small.read(box)[0]
    for place in np.ndindex(*box.shape):
        fine = tuple(slice((p + a) * b, (p + a + 1) * b) for p, a, b in zip(place, box.start, by, strict=True))
        assert abs(found[place] - labels[fine].mean()) < 1e-5
    assert (small.read()[0][box.slices] == found).all()


@given(scenes())
def test_objects_are_enlarged_voxel_by_voxel(drawn: Any) -> None:
    labels, by, _ = drawn
    small = shrink_truth(Truth.from_layers(labels[None]), by).layers[0]
    large = small
    for axis, b in enumerate(by):
        large = np.repeat(large, b, axis)
    large = large[tuple(slice(n) for n in labels.shape)]
    assert enlarge(Instances.from_labels(small), by, labels.shape) == Instances.from_labels(large)


def test_overlapping_objects_keep_their_overlap_and_scores() -> None:
    planes = np.zeros((2, 3, 3), bool)
    planes[0, :2], planes[1, 1:] = True, True
    found = enlarge(Instances.from_planes(planes, [0.25, 0.75]), (2, 3), (5, 9))
    assert found.overlapping_pairs()[2].tolist() == [18]
    assert found.scores.tolist() == [0.25, 0.75]


def test_centres_follow_the_voxels() -> None:
    labels = np.zeros((8, 12), int)
    labels[2:6, 3:9] = 1
    truth = shrink_truth(Truth.from_layers(labels[None]), (2, 3))
    assert truth.centres.tolist() == [[1.5, 1.5]]
    assert truth.layers[0].tolist() == [[0, 0, 0, 0], [0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]]


def test_a_voxel_of_truth_is_what_most_are_and_an_object_in_doubt() -> None:
    labels = np.array([[1, 1, 0, 2, 0, 0], [0, 1, 2, 0, 0, 3], [4, 4, 5, 5, 5, 0]])
    assert shrink_truth(Truth.from_layers(labels[None]), (2, 2)).layers[0].tolist() == [[1, 2, 0], [4, 5, 5]]


def test_void_spreads() -> None:
    labels, void = np.ones((8, 12), int), np.zeros((8, 12), bool)
    void[:, 9:] = True
    truth = shrink_truth(Truth.from_layers(labels[None], void, (0.5, 0.4)), (2, 3))
    assert truth.void is not None
    assert truth.void.all(0).tolist() == [False, False, False, True]
    assert np.allclose(truth.voxel_size, (1.0, 1.2))
