from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import tifffile

from toolkit.attribution import KINDS, attribute
from toolkit.bootstrap import draw, interval, resample
from toolkit.builtin.coco import APCoco
from toolkit.builtin.matched import F1, S
from toolkit.builtin.metrics import METRICS
from toolkit.criterion import find_metrics, find_value
from toolkit.errors import InputError, UsageError
from toolkit.evaluation import Pair, evaluate
from toolkit.instances import Instances
from toolkit.matching import compare
from toolkit.pairing import pairs
from toolkit.plugins.catalogue import Catalogue
from toolkit.specs import Metric
from toolkit.spreadsheet import write_tables
from toolkit.truth import Truth
from toolkit.workers import processes

from ..beside import beside  # noqa: TID252
from .scenes import disturbed, found, labels, truth


def scene(count: int = 8, worse: int = 0) -> list[Pair]:
    out = []
    for seed in range(count):
        image = labels(seed)
        other = disturbed(image, seed)
        for k in range(worse):
            other = disturbed(other, seed + k + 1)
        names = np.unique(other[other > 0]).tolist()
        scores = np.random.default_rng(seed).permutation(len(names)) / 16 + seed / 512
        predicted = Instances.from_labels(other, dict(zip(names, scores.tolist(), strict=True)))
        out.append(Pair(f"image {seed}", truth(image), predicted))
    return out


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


@pytest.mark.parametrize("cls", METRICS)
def test_bootstrap_values_are_those_of_the_images_drawn(cls: type[Metric]) -> None:
    metric = cls.model_validate({})
    counts = [metric.count(*pair.load()) for pair in scene(6)]
    weights = draw(6, 15, seed=3)
    values = resample(metric, counts, weights)
    assert set(values) == set(metric.summarise(counts))
    for k, row in enumerate(weights):
        expected = metric.summarise([counts[i] for i in np.repeat(np.arange(6), row)])
        assert {key: v[k] for key, v in values.items()} == pytest.approx(expected, nan_ok=True)


def test_the_interval_of_undefined_values_is_none() -> None:
    assert interval(np.full(5, np.nan)) is None
    assert interval(np.array([np.nan, 1.0, 1.0])) == [1.0, 1.0]


def test_one_image_has_no_interval() -> None:
    assert evaluate(scene(1), [S()]).summary["S@0.50"]["interval"] is None


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


def test_each_kind_of_error_has_its_name() -> None:
    a, b = np.zeros((10, 60), np.int32), np.zeros((10, 60), np.int32)
    a[1:9, 1:9], b[1:9, 1:9] = 1, 1  # matched
    a[1:9, 11:19] = 2  # missed
    b[1:9, 21:29] = 2  # spurious
    a[1:9, 31:39], b[1:9, 31:35], b[1:9, 35:39] = 3, 3, 4  # split into halves: one half is the match
    a[1:9, 41:45], a[1:9, 45:49], b[1:9, 41:49] = 4, 5, 5  # merged from halves
    a[1:9, 51:59], b[1:4, 51:59], b[4:6, 51:59], b[6:9, 51:59] = 6, 6, 7, 8  # split into thirds
    t, p = truth(a), found(b)
    true, seen = attribute(t, p, compare(t, p), 51)
    assert {int(n): KINDS[k] for n, k in zip(true.ids, true.kind, strict=True)} == {
        1: "matched", 2: "missed", 3: "split", 4: "merged", 5: "merged", 6: "split",
    }  # fmt: skip
    assert [KINDS[k] for k in seen.kind] == [
        "matched",
        "spurious",
        "split",
        "split",
        "merged",
        "split",
        "split",
        "split",
    ]
    assert true.partner.tolist() == [1, 0, 0, 0, 0, 0]
    assert true.iou[2] == pytest.approx(0.5)


def test_true_objects_keep_the_labels_of_their_image() -> None:
    planes = np.zeros((3, 6, 6), np.int32)
    planes[0, :3, :3], planes[1, :3, :5], planes[2, 2:, 2:] = 9, 4, 7
    t = Truth.from_layers(planes)
    p = t.instances
    true, _ = attribute(t, p, compare(t, p))
    assert dict(zip(true.ids.tolist(), true.sizes.tolist(), strict=True)) == {9: 9, 4: 15, 7: 16}


def test_tables_have_a_row_for_each_image_and_object(tmp_path: Path) -> None:
    result = evaluate(scene(3), [S()])
    images, objects = write_tables(result, tmp_path / "out")
    rows = images.read_text().splitlines()
    assert len(rows) == 4
    assert "S@0.50" in rows[0]
    total = sum(len(side.ids) for image in result.images for side in (image.true, image.predicted))
    rows = objects.read_text().splitlines()
    assert rows[0] == "image,side,id,fate,matched id,iou,voxels,y_from,x_from,y_to,x_to"
    assert len(rows) == total + 1


def test_the_result_is_json() -> None:
    document = json.loads(json.dumps(evaluate(scene(3), [S(), F1()]).to_json(), allow_nan=False))
    assert {"mean", "pooled", "interval"} <= set(document["summary"]["S@0.50"])
    assert [image["name"] for image in document["images"]] == ["image 0", "image 1", "image 2"]


def test_metrics_are_found_by_name_with_thresholds() -> None:
    catalogue = Catalogue(allow=())
    assert find_metrics(["S"], catalogue) == (S(),)
    assert find_metrics(["builtin:S@.1:.1:.9"], catalogue) == (S(thresholds=".1:.1:.9"),)
    assert {type(m) for m in find_metrics([], catalogue)} == set(METRICS)
    with pytest.raises(UsageError, match="no such metric"):
        find_metrics(["dice"], catalogue)
    with pytest.raises(UsageError, match=r"multiple of \.01"):
        find_metrics(["S@0.555"], catalogue)
    with pytest.raises(UsageError, match="has no thresholds"):
        find_metrics(["PQ@0.5"], catalogue)


def test_single_values_are_found_by_name() -> None:
    catalogue = Catalogue(allow=())
    assert find_value("S@0.80", catalogue) == (S(), "S@0.80")
    assert find_value("S@0.42", catalogue) == (S(thresholds=0.42), "S@0.42")
    assert find_value("avS@.5:.1:.9", catalogue) == (S(), "avS@.5:.1:.9")
    assert find_value("S", catalogue)[1] == "S@0.50"
    assert find_value("AP_coco", catalogue) == (APCoco(), "AP_coco pooled")


def _folders(root: Path, predicted: list[str], true: list[str]) -> tuple[Path, Path]:
    for folder, names in (("pred", predicted), ("true", true)):
        for name in names:
            path = root / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(path, labels(1).astype(np.uint16))
    return root / "pred", root / "true"


def test_files_are_paired_by_stem(tmp_path: Path) -> None:
    names = ["a.labels.tif", "deep/b.labels.tif"]
    predicted, true = _folders(tmp_path, [*names, "overlay.tif"], ["a.tif", "deep/b.tif"])
    found_pairs = pairs(predicted, true)
    assert [p.name for p in found_pairs] == ["a", "deep/b"]
    assert evaluate(found_pairs, [S()]).summary["S@0.95"]["mean"] == 1
    assert [p.name for p in pairs(predicted / names[0], true)] == ["a"]
    assert [p.name for p in pairs(predicted / names[0], true / "deep" / "b.tif")] == ["a"]


def test_a_missing_partner_is_named(tmp_path: Path) -> None:
    predicted, true = _folders(tmp_path, ["a.labels.tif", "b.labels.tif"], ["a.tif", "c.tif"])
    with pytest.raises(InputError, match="a prediction has no truth: b"):
        pairs(predicted, true)
    (predicted / "b.labels.tif").unlink()
    with pytest.raises(InputError, match="an image has no prediction: c"):
        pairs(predicted, true)
    with pytest.raises(InputError, match="no such file or folder"):
        pairs(tmp_path / "nowhere", true)


def test_published_worm_masks_score_as_published() -> None:
    data = beside("data/bbbc010")
    result = evaluate(pairs(data / "reference_ppp_setup08", f"{data}:test", "QYX"), [S()], samples=0)
    assert len(result.images) == 17
    means = [round(result.summary[f"S@{t:.2f}"]["mean"], 3) for t in (0.5, 0.6, 0.7, 0.8, 0.9)]
    assert means == [0.957, 0.944, 0.920, 0.799, 0.367]


def test_the_truth_against_itself_is_perfect_with_overlap() -> None:
    data = beside("data/bbbc010")
    result = evaluate(pairs(data / "masks", f"{data}:all", "QYX")[:4], [S(), F1()], samples=0)
    assert {entry["mean"] for entry in result.summary.values()} == {1.0}
