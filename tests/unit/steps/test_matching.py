from __future__ import annotations

import json
from itertools import combinations, permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from tests.golden import published
from tests.unit.scenes import disturbed, found, labels, planes, seeds, truth
from toolkit.steps.matching import assign, compare, percents
from toolkit.values.instances import Instances
from toolkit.values.truth import Truth

LEVELS = (1, 10, 33, 50, 51, 75, 100)


def dense(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shared and united voxels of every pair of planes."""
    a, b = a.reshape(len(a), -1).astype(np.int64), b.reshape(len(b), -1).astype(np.int64)
    shared = a @ b.T
    return shared, a.sum(1)[:, None] + b.sum(1)[None] - shared


def split(image: np.ndarray) -> np.ndarray:
    return np.stack([image == n for n in np.unique(image[image > 0])] or [np.zeros(image.shape, bool)])


def dense_count(shared: np.ndarray, union: np.ndarray, percent: int) -> int:
    allowed = 100 * shared >= percent * np.maximum(union, 1)
    rows, columns = linear_sum_assignment(-allowed.astype(int))
    return int(allowed[rows, columns].sum())


@given(seeds, st.sampled_from(LEVELS))
def test_as_many_pairs_match_as_a_dense_assignment_finds(seed: int, percent: int) -> None:
    a = labels(seed)
    b = disturbed(a, seed)
    match = compare(truth(a), found(b)).match(percent)
    assert match.tp == dense_count(*dense(split(a), split(b)), percent)
    assert match.tp + match.fn == len(np.unique(a[a > 0]))
    assert match.tp + match.fp == len(np.unique(b[b > 0]))


@given(seeds, st.sampled_from(LEVELS))
def test_overlapping_objects_match_as_a_dense_assignment_finds(seed: int, percent: int) -> None:
    a, b = planes(seed), planes(seed + 1)
    b[:3] = a[:3] | b[:3]
    match = compare(Truth.from_planes(a), Instances.from_planes(b)).match(percent)
    some = a.reshape(len(a), -1).any(1), b.reshape(len(b), -1).any(1)
    assert match.tp == dense_count(*dense(a[some[0]], b[some[1]]), percent)


@given(seeds)
def test_no_object_is_matched_twice_and_every_pair_reaches_the_threshold(seed: int) -> None:
    a, b = planes(seed), planes(seed + 1)
    overlaps = compare(Truth.from_planes(a), Instances.from_planes(b))
    match = overlaps.match(20)
    assert len(set(match.truth.tolist())) == match.tp == len(set(match.predicted.tolist()))
    assert (match.iou >= 0.2 - 1e-12).all()


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.floats(0.01, 1)), min_size=1, max_size=12))
def test_the_assignment_is_the_best_of_all_matchings(edges: list[tuple[int, int, float]]) -> None:
    edges = sorted({(i, j): (i, j, g) for i, j, g in edges}.values())
    rows, columns, gain = (np.array(x) for x in zip(*edges, strict=True))
    best = max(
        (len(some), sum(edges[k][2] for k in some))
        for size in range(6)
        for some in combinations(range(len(edges)), min(size, len(edges)))
        if len({edges[k][0] for k in some}) == len(some) == len({edges[k][1] for k in some})
    )
    kept = assign(rows, columns, gain)
    assert (len(kept), pytest.approx(gain[kept].sum())) == best


def test_an_iou_of_exactly_one_half_reaches_one_half() -> None:
    a, b = np.zeros((2, 10), np.int32), np.zeros((2, 10), np.int32)
    a[0, :9], b[0, :6], b[0, 6:9] = 1, 1, 2
    overlaps = compare(truth(a), found(b))
    assert overlaps.match(66).tp == 1
    assert overlaps.match(67).tp == 0
    assert overlaps.match(80, "dice").tp == 1
    assert overlaps.match(81, "dice").tp == 0
    a[0, 8], b[0, 4:] = 0, 0
    assert compare(truth(a), found(b)).match(50).tp == 1
    assert compare(truth(a), found(b)).match(51).tp == 0


def test_every_threshold_agrees_with_stardist() -> None:
    data = published("ap_dsb_stardist")
    results = json.loads(str(data["results_json"]))
    cases = [name.removesuffix("_gt") for name in data if name.endswith("_gt")]
    assert len(cases) == 7
    for case in cases:
        overlaps = compare(truth(data[f"{case}_gt"]), found(data[f"{case}_pred"]))
        for level, theirs in zip(data["thresholds"], results[case], strict=True):
            match = overlaps.match(round(100 * float(level)))
            assert (match.tp, match.fp, match.fn) == (theirs["tp"], theirs["fp"], theirs["fn"]), (case, level)
            if match.tp:
                assert match.iou.mean() == pytest.approx(theirs["mean_matched_score"], abs=1e-6)


def test_void_voxels_count_nowhere() -> None:
    a, b, void = np.zeros((4, 20), np.int32), np.zeros((4, 20), np.int32), np.zeros((4, 20), bool)
    a[:, :5], b[:, :10], void[:, 5:] = 1, 1, True
    match = compare(truth(a, void=void), found(b)).match(100)
    assert (match.tp, match.fp, match.fn) == (1, 0, 0)


def test_objects_mostly_in_void_are_no_errors() -> None:
    a, b, void = np.zeros((4, 20), np.int32), np.zeros((4, 20), np.int32), np.zeros((4, 20), bool)
    void[:, :10] = True
    b[0, 4:15], a[2, 4:15] = 1, 1
    match = compare(truth(a, void=void), found(b)).match(50)
    assert (match.tp, match.fp, match.fn) == (0, 0, 0)
    b[0, 15:17], a[2, 15:17] = 1, 1
    match = compare(truth(a, void=void), found(b)).match(50)
    assert (match.tp, match.fp, match.fn) == (0, 1, 1)


def test_a_prediction_mostly_in_unannotated_voxels_is_no_error_but_its_voxels_count() -> None:
    a, b = np.zeros((4, 20), np.int32), np.zeros((4, 20), np.int32)
    a[:, 10:], a[:, :4] = -1, 7
    b[0, 9:15], b[:, :6] = 1, 2
    overlaps = compare(truth(a), found(b))
    assert overlaps.predicted_unknown.tolist() == [False, True]
    match = overlaps.match(50)
    assert (match.tp, match.fp, match.fn) == (1, 0, 0)
    assert match.iou.tolist() == [pytest.approx(16 / 24)]


@given(seeds)
def test_a_volume_of_one_plane_matches_like_the_plane(seed: int) -> None:
    a = labels(seed)
    b = disturbed(a, seed)
    flat, deep = compare(truth(a), found(b)), compare(truth(a[None]), found(b[None]))
    assert [flat.match(p).tp for p in LEVELS] == [deep.match(p).tp for p in LEVELS]


def test_thresholds_are_whole_percents() -> None:
    assert percents(".5:.05:.95") == (50, 55, 60, 65, 70, 75, 80, 85, 90, 95)
    assert percents(".1:.1:.9") == tuple(range(10, 91, 10))
    assert percents([0.5, ".8"]) == (50, 80)
    assert percents(0.29) == (29,)
    for wrong in (0, 1.01, 0.555, ".5:.95", "half"):
        with pytest.raises(ValueError, match=r"\.|half"):
            percents(wrong)


def test_all_orders_of_labels_give_one_matching() -> None:
    a = labels(3, count=3)
    b = disturbed(a, 5)
    names = np.unique(b[b > 0])
    results = set()
    for order in permutations(names):
        renamed = np.zeros_like(b)
        for old, new in zip(names, order, strict=True):
            renamed[b == old] = new
        match = compare(truth(a), found(renamed)).match(30)
        results.add((tuple(match.truth), tuple(match.predicted)))
    assert len(results) == 1


def test_a_dice_of_exactly_four_fifths_reaches_four_fifths() -> None:
    true, seen = np.zeros((2, 8), int), np.zeros((2, 8), int)
    true[0, :4], seen[0, :6] = 1, 1
    overlaps = compare(truth(true), found(seen))
    assert overlaps.match(80, "dice").tp == 1
    assert overlaps.match(81, "dice").tp == 0


def test_an_object_that_is_exactly_half_in_void_counts() -> None:
    image = np.zeros((2, 8), int)
    image[0, :4] = 1
    void = np.zeros((2, 8), bool)
    void[0, :2] = True
    nothing = Instances.empty(image.shape)
    assert compare(Truth.from_layers(image[None], void), nothing).match(50).fn == 1
    unannotated = np.where(void, -1, 0)
    assert compare(Truth.from_layers(unannotated[None]), found(image)).match(50).fp == 1
