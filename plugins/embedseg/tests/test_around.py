"""What lies around the method, against the published program: normalisation and the metric."""

import numpy as np
import pytest

from tests.golden import published
from toolkit.api import Image, Instances, Truth
from toolkit.testing import Normalise, compare
from toolkit.testing import fit_scale as fit


@pytest.mark.parametrize(
    ("how", "name"),
    [
        (Normalise(kind="percentile", low=1, high=99.8), "norm_minmax_1_998"),
        (Normalise(kind="mean_std"), "norm_mean_std"),
    ],
)
def test_normalisation_is_that_of_the_published_program(how: Normalise, name: str) -> None:
    data = published("embedseg_centers_norm")
    image = Image.from_array(data["image"])
    np.testing.assert_allclose(fit(image, how)(image.read())[0], data[name], atol=1e-6, rtol=0)


@pytest.mark.parametrize(("percent", "name"), [(30, "ap03"), (50, "ap05"), (70, "ap07")])
def test_the_score_against_overlapping_objects_is_that_of_the_published_program(percent: int, name: str) -> None:
    data = published("embedseg_apdsb_one_hot")
    found = compare(Truth.from_planes(data["gt_onehot"]), Instances.from_labels(data["pred"])).match(percent)
    assert found.tp / (found.tp + found.fp + found.fn) == pytest.approx(float(data[name]), abs=1e-9)
