from __future__ import annotations

import numpy as np
import pytest

from toolkit.evaluation.attribution import KINDS, attribute
from toolkit.steps.matching import compare
from toolkit.values.truth import Truth

from tests.unit.scenes import found, truth


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
