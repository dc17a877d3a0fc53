from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import tifffile

from tests.unit.scenes import found, labels, scene, truth
from toolkit.builtin.metrics.coco import APCoco
from toolkit.builtin.metrics.matched import F1, S
from toolkit.errors import InputError
from toolkit.evaluation.evaluate import Pair, evaluate
from toolkit.pipeline.workers import processes
from toolkit.values.instances import Instances
from toolkit.values.truth import Truth


def test_the_summary_holds_the_mean_of_images_and_the_pooled_value() -> None:
    result = evaluate(scene(), [S()])
    counts = [image.counts[0] for image in result.images]
    at = S().levels().index(50)
    tp, wrong = (np.array([c[name][at] for c in counts]) for name in ("tp", "fp"))
    wrong = wrong + np.array([c["fn"][at] for c in counts])
    assert result.summary["S@0.50"]["mean"] == pytest.approx((tp / (tp + wrong)).mean())
    assert result.summary["S@0.50"]["pooled"] == pytest.approx(tp.sum() / (tp + wrong).sum())
    low, high = result.summary["S@0.50"]["interval"]
    assert low < result.summary["S@0.50"]["mean"] < high


def test_an_image_with_nothing_counts_as_one_and_is_reported() -> None:
    blank = np.zeros((8, 8), np.int32)
    result = evaluate([*scene(3), Pair("blank", truth(blank), found(blank))], [S(), F1()])
    assert result.nothing == ("blank",)
    assert result.values("S@0.50")[-1] == 1
    assert np.isnan(result.values("recall@0.50")[-1])
    assert result.summary["recall@0.50"]["images"] == 3
    assert result.to_json()["empty_images"] == ["blank"]


def test_intervals_are_repeatable_and_depend_on_the_seed() -> None:
    one, again, other = (evaluate(scene(), [S()], seed=seed).summary["S@0.50"]["interval"] for seed in (1, 1, 2))
    assert one == again != other


def test_one_image_has_no_interval() -> None:
    assert evaluate(scene(1), [S()]).summary["S@0.50"]["interval"] is None


@pytest.mark.slow
def test_a_better_prediction_has_a_positive_difference_and_itself_has_none() -> None:
    better, worse = scene(30), scene(30, worse=3)
    entry = evaluate(better, [S()], against=worse).summary["S@0.50"]
    assert entry["difference"]["mean"] == pytest.approx(entry["mean"] - entry["other"]["mean"])
    assert entry["difference"]["interval"][0] > 0
    same = evaluate(better, [S()], against=better).summary["S@0.50"]["difference"]
    assert same["interval"] == [0.0, 0.0]


def test_unequal_shapes_are_refused() -> None:
    a = labels(0)
    with pytest.raises(InputError, match="differ in shape: odd"):
        evaluate([Pair("odd", truth(a), found(a[:-1]))], [S()])


@pytest.mark.slow
def test_processes_give_what_one_process_gives(tmp_path: Path) -> None:
    names = []
    for seed in range(4):
        tifffile.imwrite(tmp_path / f"{seed}.tif", labels(seed).astype(np.uint16))
        names.append(tmp_path / f"{seed}.tif")
    some = [Pair(p.stem, partial(_truth, p), partial(_found, p)) for p in names]
    metrics = [S(), APCoco()]
    with processes(2) as run:
        there = evaluate(some, metrics, run=run).to_json()
    assert there == evaluate(some, metrics).to_json()


def _truth(path: Path) -> Truth:
    return truth(tifffile.imread(path))


def _found(path: Path) -> Instances:
    return found(tifffile.imread(path))


def test_the_result_is_json() -> None:
    document = json.loads(json.dumps(evaluate(scene(3), [S(), F1()]).to_json(), allow_nan=False))
    assert {"mean", "pooled", "interval"} <= set(document["summary"]["S@0.50"])
    assert [image["name"] for image in document["images"]] == ["image 0", "image 1", "image 2"]
