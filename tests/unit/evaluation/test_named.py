from __future__ import annotations

import pytest

from toolkit.builtin.metrics import METRICS
from toolkit.builtin.metrics.coco import APCoco
from toolkit.builtin.metrics.matched import S
from toolkit.errors import UsageError
from toolkit.evaluation.named import find_metrics, find_value
from toolkit.plugins.catalogue import Catalogue


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
