"""Detection: points against objects, and points against points."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from toolkit.builtin.metrics.points import Detection
from toolkit.errors import UsageError
from toolkit.evaluation.named import find_value
from toolkit.plugins.catalogue import Catalogue
from toolkit.values.instances import Instances
from toolkit.values.truth import Truth


def dots(shape: tuple[int, ...], places: list[tuple[int, ...]]) -> np.ndarray:
    found = np.zeros(shape, np.int32)
    for k, place in enumerate(places):
        found[place] = k + 1
    return found


def count(true: np.ndarray, seen: np.ndarray, spec: Detection | None = None, **about) -> tuple[int, int, int]:
    counts = (spec or Detection()).count(Truth.from_layers(true[None], **about), Instances.from_labels(seen))
    return tuple(counts[name][0] for name in ("tp", "fp", "fn"))


def test_true_points_are_found_from_near_by() -> None:
    true = dots((20, 30), [(5, 5), (15, 20)])
    seen = dots((20, 30), [(5, 9), (15, 25)])
    assert count(true, seen) == (1, 1, 1)  # 4 voxels away, and 5
    assert count(true, seen, Detection(reach=5)) == (2, 0, 0)
    assert count(true, seen, voxel_size=(2.0, 2.0)) == (1, 1, 1)
    assert count(true, seen, Detection(thresholds=(8,)), voxel_size=(2.0, 2.0)) == (1, 1, 1)
    assert count(true, seen, Detection(thresholds=(10,)), voxel_size=(2.0, 2.0)) == (2, 0, 0)


def test_nearness_is_in_micrometres() -> None:
    true = dots((9, 20, 20), [(4, 10, 10)])
    for place, found in (((6, 10, 10), 1), ((7, 10, 10), 0), ((4, 10, 14), 1), ((4, 10, 15), 0)):
        assert count(true, dots(true.shape, [place]), voxel_size=(2.0, 1.0, 1.0))[0] == found


def test_two_points_near_one_true_point_find_it_once() -> None:
    true = dots((20, 30), [(5, 5)])
    assert count(true, dots((20, 30), [(5, 4), (5, 7)])) == (1, 1, 0)


def test_two_points_in_one_object_find_it_once_and_an_object_without_a_point_is_missed() -> None:
    true = np.zeros((20, 30), np.int32)
    true[2:9, 2:9], true[12:18, 12:20] = 1, 2
    assert count(true, dots((20, 30), [(3, 3), (7, 7)])) == (1, 1, 1)


def test_with_a_radius_it_is_the_centre_of_an_object_that_must_be_near() -> None:
    true = np.zeros((20, 30), np.int32)
    true[2:9, 2:9] = 1
    seen = dots((20, 30), [(2, 5)])
    assert count(true, seen) == (1, 0, 0)
    assert count(true, seen, Detection(thresholds=(3,))) == (1, 0, 0)
    assert count(true, seen, Detection(thresholds=(2.9,))) == (0, 1, 1)


def test_points_in_void_or_unannotated_voxels_are_no_errors() -> None:
    true, void = dots((20, 30), [(5, 5), (15, 20)]), np.zeros((20, 30), bool)
    void[10:] = True
    assert count(true, dots((20, 30), [(5, 6), (15, 4)]), void=void) == (1, 0, 0)
    true[:, 25:] = -1
    assert count(true, dots((20, 30), [(5, 6), (3, 28)]), void=void) == (1, 0, 0)


def test_radii_are_values_by_name() -> None:
    metric, key = find_value("detection@2.5", Catalogue(allow=()))
    assert (metric, key) == (Detection(thresholds=(2.5,)), "AP_det@2.5um")
    assert find_value("detection", Catalogue(allow=()))[1] == find_value("AP_det", Catalogue(allow=()))[1] == "AP_det"
    with pytest.raises(UsageError, match="these thresholds cannot be used"):
        find_value("detection@-1", Catalogue(allow=()))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([(12, 14), (5, 9, 8)]), st.floats(0.5, 5))
def test_as_many_points_are_matched_as_can_be(seed: int, shape: tuple[int, ...], radius: float) -> None:
    rng = np.random.default_rng(seed)
    size = (2.0, 1.0, 0.5)[-len(shape) :]
    true, seen = (
        dots(shape, [np.unravel_index(i, shape) for i in rng.choice(np.prod(shape), rng.integers(1, 9), replace=False)])
        for _ in range(2)
    )
    tp, fp, fn = count(true, seen, Detection(thresholds=(radius,)), voxel_size=size)
    gaps = np.argwhere(true)[:, None] - np.argwhere(seen)[None]
    able = ((gaps * np.array(size)) ** 2).sum(-1) <= radius**2 * (1 + 1e-9)
    assert tp == able[linear_sum_assignment(~able)].sum()
    assert (fp, fn) == ((seen > 0).sum() - tp, (true > 0).sum() - tp)


def test_a_point_at_exactly_the_radius_is_near() -> None:
    true, seen = dots((20, 30), [(5, 5)]), dots((20, 30), [(5, 8)])
    assert count(true, seen, Detection(thresholds=(3,))) == (1, 0, 0)
    assert count(true, seen, Detection(thresholds=(2.9,))) == (0, 1, 1)
