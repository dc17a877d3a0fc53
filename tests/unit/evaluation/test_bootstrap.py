from __future__ import annotations

import numpy as np
import pytest

from tests.unit.scenes import scene
from toolkit.builtin.metrics import METRICS
from toolkit.evaluation.bootstrap import draw, interval, resample
from toolkit.plugins.metric import Metric


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


def test_an_interval_leaves_as_much_out_on_both_sides() -> None:
    assert interval(np.arange(1001.0)) == pytest.approx([25, 975])
