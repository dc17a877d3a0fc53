"""Targets of pairs: what is annotated decides, and what is not is said to be free or beyond."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from toolkit_cac.loss import CacLoss
from toolkit_cac.pairs import BEYOND, FREE, foreground, pairs, usual_pairs

from toolkit.api import Truth

ROW = np.array([[1, 1, 0, -1, -1, 2, 2, -1]], np.int32)


def row(labels: np.ndarray, offset: int, background: str = "object", void: np.ndarray | None = None) -> list[int]:
    return pairs(Truth.from_layers(labels[None], void), (0, offset), background)[0].tolist()


def test_a_pair_is_decided_by_any_end_in_an_annotated_object() -> None:
    assert row(ROW, -1) == [BEYOND, 1, 0, FREE, FREE, 0, 1, 0]
    assert row(ROW, 4)[:4] == [0, 0, 0, FREE], "an object and what is unannotated are apart, and so are two objects"


def test_known_background_is_one_object_or_none() -> None:
    labels = np.array([[0, 0, 1, 1]], np.int32)
    assert row(labels, -1) == [BEYOND, 1, 0, 1]
    assert row(labels, -1, "apart") == [BEYOND, 0, 0, 1]


def test_a_pair_with_a_void_end_teaches_nothing_and_learns_nothing() -> None:
    void = np.array([[False, True, False, False, False, False, False, True]])
    assert row(ROW, -1, void=void) == [BEYOND, BEYOND, BEYOND, FREE, FREE, 0, 1, BEYOND]


def test_an_offset_larger_than_the_crop_has_no_pair() -> None:
    assert row(ROW, -8) == [BEYOND] * 8
    assert row(ROW, 99) == [BEYOND] * 8


def test_of_contradictory_layers_an_object_counts_before_unannotated_before_background() -> None:
    layers = np.array([[[1, 1, 0, -1]], [[-1, 2, 0, 0]]], np.int32)
    truth = Truth.from_layers(layers)
    assert foreground(truth).tolist() == [[1, 1, 0, FREE]]
    assert pairs(truth, (0, -1), "object").tolist() == [[BEYOND, 1, 0, FREE]]


@given(labels=st.lists(st.sampled_from([-1, 0, 1, 2, 3]), min_size=2, max_size=20), offset=st.integers(-6, 6))
def test_annotating_more_never_changes_what_was_decided_by_objects(labels: list[int], offset: int) -> None:
    if offset == 0:
        return
    dense = np.array([labels], np.int32)
    sparse = np.where(dense == 1, 1, -1).astype(np.int32)
    more, less = (np.array(row(np.maximum(x, -1), offset)) for x in (np.where(dense < 0, 0, dense), sparse))
    decided = less >= 0
    assert np.array_equal(more[decided], less[decided])
    assert ((less == BEYOND) == (more == BEYOND)).all()


def test_the_usual_pairs_begin_with_the_face_neighbours() -> None:
    assert usual_pairs(2) == (
        (-1, 0),
        (0, -1),
        (-3, 0),
        (0, -3),
        (-5, 0),
        (0, -5),
        (-9, 0),
        (0, -9),
        (-27, 0),
        (0, -27),
    )
    assert usual_pairs(3)[:6] == ((-1, 0, 0), (0, -1, 0), (0, 0, -1), (-2, 0, 0), (0, -3, 0), (0, 0, -3))


def test_an_image_without_an_annotated_object_has_no_decided_pair_and_no_radius() -> None:
    targets = CacLoss().targets(Truth.from_layers(np.full((1, 8, 8), -1, np.int32)))
    assert (targets["affinities"] < 0).all()
    assert (targets["foreground"] == FREE).all()
    assert not targets["radius"].any()


def test_the_radius_is_that_of_the_median_object_in_voxels_of_each_axis() -> None:
    labels = np.zeros((1, 20, 30), np.int32)
    labels[0, :4, :4], labels[0, 10:, :10], labels[0, 10:, 20:] = 1, 2, 3
    targets = CacLoss().targets(Truth.from_layers(labels, voxel_size=(2.0, 1.0)))
    assert targets["radius"] == pytest.approx(np.sqrt(200 / np.pi) / np.array([2, 1]))


@pytest.mark.parametrize("offsets", [(), ((0, 0),), ((0, 1), (0, 1)), ((0, 1), (1,))])
def test_offsets_that_make_no_pairs_are_refused(offsets: tuple) -> None:
    with pytest.raises(ValueError, match="offsets"):
        CacLoss(offsets=offsets)
