"""The metrics against independent implementations, on random label images."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest
from hypothesis import given, settings
from skimage.metrics import adapted_rand_error, variation_of_information

from tests.unit.scenes import disturbed, found, labels, seeds, truth
from toolkit.builtin.metrics.coco import APCoco
from toolkit.builtin.metrics.matched import F1, S
from toolkit.builtin.metrics.panoptic import PQ
from toolkit.builtin.metrics.partitions import ARAND, VOI
from toolkit.plugins.metric import Metric
from toolkit.values.instances import Instances


def value(metric: Metric, image: np.ndarray, other: np.ndarray) -> dict[str, float]:
    return metric.summarise([metric.count(truth(image), found(other))])


@given(seeds)
@settings(deadline=None)
def test_variation_of_information_agrees_with_scikit_image(seed: int) -> None:
    a = labels(seed)
    b = disturbed(a, seed)
    if (a > 0).any():
        split, merge = variation_of_information(a, b, ignore_labels=(0,))
        ours = value(VOI(), a, b)
        assert (ours["VOI split"], ours["VOI merge"]) == pytest.approx((split, merge), abs=1e-9)
    split, merge = variation_of_information(a, b)
    ours = value(VOI(background="object"), a, b)
    assert (ours["VOI split"], ours["VOI merge"]) == pytest.approx((split, merge), abs=1e-9)
    assert ours["VOI"] == pytest.approx(split + merge, abs=1e-9)


@given(seeds)
@settings(deadline=None)
def test_the_adapted_rand_error_agrees_with_scikit_image(seed: int) -> None:
    a = labels(seed)
    b = disturbed(a, seed)
    for metric, ignored in ((ARAND(), (0,)), (ARAND(background="object"), ())):
        if ignored and np.unique(a[a > 0], return_counts=True)[1].max(initial=0) < 2:
            continue
        # scikit-image documents precision before recall and returns recall first.
        error, recall, precision = adapted_rand_error(a, b, ignore_labels=ignored)
        ours = value(metric, a, b)
        assert ours["ARAND"] == pytest.approx(error, abs=1e-9)
        assert ours["ARAND recall"] == pytest.approx(recall, abs=1e-9)
        assert ours["ARAND precision"] == pytest.approx(precision, abs=1e-9)


@pytest.mark.slow
@given(seeds)
@settings(deadline=None)
def test_matching_scores_agree_with_stardist(seed: int) -> None:
    import stardist.matching as stardist

    a = labels(seed)
    b = disturbed(a, seed)
    levels = (0.1, 0.25, 0.5, 0.75, 0.9)
    mine = value(S(thresholds=levels), a, b) | value(F1(thresholds=levels), a, b) | value(PQ(), a, b)
    for level in levels:
        theirs = stardist.matching(a, b, thresh=level)
        if a.any() or b.any():
            assert mine[f"S@{level:.2f}"] == pytest.approx(theirs.accuracy, abs=1e-6)
            assert mine[f"F1@{level:.2f}"] == pytest.approx(theirs.f1, abs=1e-6)
        if a.any() and b.any():
            assert mine[f"precision@{level:.2f}"] == pytest.approx(theirs.precision, abs=1e-6)
            assert mine[f"recall@{level:.2f}"] == pytest.approx(theirs.recall, abs=1e-6)
            if level == 0.5:
                assert mine["PQ"] == pytest.approx(theirs.panoptic_quality, abs=1e-6)


def coco(images: list[tuple[np.ndarray, np.ndarray, np.ndarray]], cap: int) -> np.ndarray:
    """AP at .5:.05:.95 by faster-coco-eval of `(true labels, predicted labels or planes, scores in their order)`."""
    from faster_coco_eval import COCO, COCOeval_faster
    from faster_coco_eval import mask as masks

    def rle(mask: np.ndarray) -> dict[str, object]:
        code = masks.encode(np.asfortranarray(mask.astype(np.uint8)))
        return code | {"counts": code["counts"].decode()}

    true, seen = [], []
    for image, (a, b, scores) in enumerate(images, 1):
        for name in np.unique(a[a > 0]):
            area = int((a == name).sum())
            true.append({"id": len(true) + 1, "image_id": image, "category_id": 1, "iscrowd": 0, "area": area,
                         "segmentation": rle(a == name), "bbox": [0, 0, 1, 1]})  # fmt: skip
        masks_of = b if b.ndim == 3 else [b == name for name in np.unique(b[b > 0])]
        for mask, score in zip(masks_of, scores, strict=True):
            seen.append({"image_id": image, "category_id": 1, "score": float(score), "segmentation": rle(mask)})
    sizes = [{"id": k + 1, "height": a.shape[0], "width": a.shape[1]} for k, (a, _, _) in enumerate(images)]
    with contextlib.redirect_stdout(io.StringIO()):
        left = COCO({"images": sizes, "annotations": true, "categories": [{"id": 1, "name": "cell"}]})
        run = COCOeval_faster(left, left.loadRes(seen), iouType="segm", print_function=lambda *_: None)
        run.params.maxDets = [1, 2, cap]
        run.evaluate()
        run.accumulate()
    precision = run.eval["precision"][:, :, 0, 0, -1]
    return precision.mean(1)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("cap", [100, 3])
def test_average_precision_agrees_with_coco(seed: int, cap: int) -> None:
    rng = np.random.default_rng(seed)
    images, counts = [], []
    metric = APCoco(cap=cap, alone=".5:.05:.95")
    for k in range(5):
        a = labels(100 * seed + k, (60, 60), 12, 9.0)
        b = disturbed(a, seed + k)
        names = np.unique(b[b > 0])
        scores = rng.permutation(len(names)) / 64 + k / 1024
        images.append((a, b, scores))
        predicted = Instances.from_labels(b, dict(zip(names.tolist(), scores.tolist(), strict=True)))
        counts.append(metric.count(truth(a), predicted))
    ours = metric.summarise(counts)
    theirs = coco(images, cap)
    assert ours["AP_coco pooled"] == pytest.approx(theirs.mean(), abs=1e-6)
    assert [v for k, v in ours.items() if "@" in k] == pytest.approx(theirs.tolist(), abs=1e-6)


def test_average_precision_takes_the_same_of_equal_true_objects_as_coco() -> None:
    true = np.zeros((4, 8), int)
    true[0, :4], true[2, :4] = 1, 2
    both, second = true > 0, true == 2
    planes, scores = np.stack([both, second]), np.array([0.9, 0.8])
    metric = APCoco(alone=".5:.05:.95")
    ours = metric.summarise([metric.count(truth(true), Instances.from_planes(planes, scores))])
    theirs = coco([(true, planes, scores)], 100)
    assert [v for k, v in ours.items() if "@" in k] == pytest.approx(theirs.tolist(), abs=1e-6)
    assert theirs[0] < 1
