"""The metrics on cases that can be counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.scenes import found, truth
from toolkit.builtin.metrics.aggregated import AJI, SBD, SEG
from toolkit.builtin.metrics.cldice import ClDice
from toolkit.builtin.metrics.fisbe import FISBe
from toolkit.builtin.metrics.matched import F1, S
from toolkit.builtin.metrics.partitions import ISBI, VOI
from toolkit.builtin.metrics.points import Detection, centres
from toolkit.plugins.metric import Metric
from toolkit.values.instances import Instances
from toolkit.values.truth import Truth


def row(text: str) -> np.ndarray:
    """A label image of one row, one character per voxel: `.` background, `?` unannotated, digits labels."""
    return np.array([[-1 if c == "?" else 0 if c == "." else int(c) for c in text]], np.int32)


def value(metric: Metric, true: str, seen: str, void: str = "") -> dict[str, float]:
    mask = np.array([[c == "#" for c in void]]) if void else None
    return metric.summarise([metric.count(truth(row(true), void=mask), found(row(seen)))])


def test_the_aggregated_jaccard_index_adds_lonely_objects_to_the_union() -> None:
    # 1 with 1: 3 of 5; 2 with nothing: 4; predicted 2 alone: 2.
    result = value(AJI(), "1111...2222....", ".1111.......22.")
    assert result["AJI"] == pytest.approx(3 / (5 + 4 + 2))


def test_aji_may_use_one_prediction_twice_and_aji_plus_may_not() -> None:
    result = value(AJI(), "111222..", "1111111.")
    assert result["AJI"] == pytest.approx((3 + 3) / (7 + 7))
    assert result["AJI+"] == pytest.approx(3 / (7 + 3))


def test_seg_asks_for_more_than_half_of_the_true_object() -> None:
    assert value(SEG(), "1111.2222", "11...222.")["SEG"] == pytest.approx((0 + 3 / 4) / 2)
    assert value(SEG(), "1111.2222", "111111111")["SEG"] == pytest.approx((4 / 9 + 4 / 9) / 2)


def test_symmetric_best_dice_is_the_smaller_direction() -> None:
    result = value(SBD(), "1111......", "1111...222")
    assert result["SBD"] == pytest.approx(0.5)
    assert result["|DiC|"] == 1


def test_a_split_is_split_information_and_a_merge_is_merge_information() -> None:
    split = value(VOI(), "11112222", "11342222")
    assert (split["VOI split"], split["VOI merge"]) == (pytest.approx(4 / 8 * 1.5), pytest.approx(0))
    merge = value(VOI(), "11112222", "11111111")
    assert (merge["VOI split"], merge["VOI merge"]) == (pytest.approx(0), pytest.approx(1))


def test_isbi_scores_count_predicted_background_as_single_voxels() -> None:
    result = value(ISBI(), "1111.2222.", "1111111..3")
    cells, true, seen = np.array([4, 2, 1, 1]) / 8, np.array([4, 4]) / 8, np.array([6, 1, 1]) / 8

    def entropy(p: np.ndarray) -> float:
        return float(-(p * np.log2(p)).sum())

    assert result["rRAND"] == pytest.approx(2 * (cells**2).sum() / ((true**2).sum() + (seen**2).sum()))
    mutual = entropy(true) + entropy(seen) - entropy(cells)
    assert result["rINF"] == pytest.approx(2 * mutual / (entropy(true) + entropy(seen)))


def test_partitions_leave_out_void_and_unannotated_voxels() -> None:
    plain = value(VOI(background="object"), "1111..", "1122..")
    assert value(VOI(background="object"), "1111..22", "1122..31", "......##") == pytest.approx(plain)
    assert value(VOI(background="object"), "1111..??", "1122..31") == pytest.approx(plain)


def test_partitions_give_a_shared_voxel_to_the_higher_score() -> None:
    planes = np.zeros((2, 1, 8), bool)
    planes[0, 0, :5], planes[1, 0, 3:] = True, True
    true = truth(row("11122222"))
    for scores, expected in (((0.2, 0.9), 0.0), ((0.9, 0.2), 1.0)):
        predicted = Instances.from_planes(planes, scores)
        merged = VOI().summarise([VOI().count(true, predicted)])["VOI merge"]
        assert (merged > 0) == bool(expected)


def test_a_point_finds_a_true_object_once() -> None:
    result = value(Detection(), "1111.2222.33", "1.22....4..5")
    # Points: 1 and 2 inside true 1, 4 inside true 2, 5 inside true 3.
    assert result["AP_det"] == pytest.approx(3 / 4)
    assert (result["precision_det"], result["recall_det"]) == (3 / 4, 1)


def test_points_in_unknown_places_are_no_errors() -> None:
    assert value(Detection(), "11..??..", "1...2..3")["AP_det"] == pytest.approx(1 / 2)
    assert value(Detection(), "11..22..", "1...2..3", "....####")["AP_det"] == 1


def test_two_true_objects_in_one_place_are_found_by_two_points() -> None:
    planes = np.zeros((2, 5, 5), bool)
    planes[0, :4, :4], planes[1, :3, :] = True, True
    t = Truth.from_planes(planes)
    seen = Instances.from_planes(planes)
    assert Detection().count(t, seen) == {"tp": [2], "fp": [0], "fn": [0]}


def test_centres_are_rounded_to_voxels() -> None:
    image = np.zeros((4, 7), np.int32)
    image[1:3, 2:6], image[0, 0] = 1, 2
    assert centres(found(image)).tolist() == [[0, 0], [2, 4]]


def line(*spans: tuple[int, int, int]) -> np.ndarray:
    """Bars 3 voxels thick along rows: `(row, from, to)`; label = position."""
    image = np.zeros((3 * max(r for r, _, _ in spans) + 4, 40), np.int32)
    for label, (r, low, high) in enumerate(spans, 1):
        image[3 * r + 1 : 3 * r + 4, low:high] = label
    return image


def score(metric: Metric, a: np.ndarray, b: np.ndarray) -> dict[str, float]:
    return metric.summarise([metric.count(truth(a), found(b))])


def test_centreline_dice_of_half_a_tube() -> None:
    result = score(ClDice(), line((0, 0, 40)), line((0, 0, 20)))
    assert result["clDice precision"] == 1
    assert result["clDice sensitivity"] == pytest.approx(0.5, abs=0.06)
    s, p = result["clDice sensitivity"], result["clDice precision"]
    assert result["clDice"] == pytest.approx(2 * s * p / (s + p))


def test_a_neuron_in_three_pieces_has_two_false_splits_and_full_coverage() -> None:
    result = score(FISBe(), line((0, 0, 39)), line((0, 0, 13), (0, 13, 26), (0, 26, 39)))
    assert (result["false splits"], result["false merges"]) == (2, 0)
    assert result["coverage"] == 1
    # One piece of three has precision 1 and recall near 1/3: clDice near .5, two false positives.
    assert result["avF1"] == pytest.approx(5 / 9 * 2 / 4, abs=0.12)


def test_two_neurons_in_one_piece_are_one_false_merge() -> None:
    image = line((0, 0, 40), (1, 0, 40))
    result = score(FISBe(), image, (image > 0).astype(np.int32))
    assert (result["false splits"], result["false merges"]) == (0, 1)
    assert result["coverage"] == pytest.approx(0.5)


def test_crossing_neurons_are_perfect_when_both_are_whole() -> None:
    planes = np.zeros((2, 40, 40), bool)
    planes[0, 18:21, :], planes[1, :, 18:21] = True, True
    t = Truth.from_planes(planes)
    result = FISBe().summarise([FISBe().count(t, t.instances)])
    assert (result["FISBe"], result["false splits"], result["false merges"]) == (1, 0, 0)


def test_s_and_f1_of_three_objects() -> None:
    result = value(S(), "1111.2222.33", "1111.22.3..4") | value(F1(), "1111.2222.33", "1111.22.3..4")
    # IoU: 1, 1/2, and 1/2 of the last; predicted 3 has 1/4.
    assert result["S@0.50"] == pytest.approx(3 / 4)
    assert result["S@0.55"] == pytest.approx(1 / 6)
    assert result["precision@0.50"] == pytest.approx(3 / 4)
    assert result["recall@0.50"] == 1
    assert result["recall@Dice0.80"] == pytest.approx(1 / 3)
