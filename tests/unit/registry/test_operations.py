from __future__ import annotations

import numpy as np
import pytest
import torch

from toolkit.errors import ModelError
from toolkit.registry.bioimageio import format_0_4
from toolkit.registry.bioimageio.description import Axis, Operation
from toolkit.registry.bioimageio.operations import FUNCTIONS, apply

AXES = ("batch", "channel", "y", "x")
CASES = [
    ("binarize", {"threshold": 0.2}),
    ("clip", {"min": -0.5, "max": 0.5}),
    ("clip", {"min": -0.5}),
    ("clip", {"min_percentile": 5.0, "max_percentile": 95.0, "axes": ["y", "x"]}),
    ("ensure_dtype", {"dtype": "float32"}),
    ("fixed_zero_mean_unit_variance", {"mean": 0.3, "std": 2.0}),
    ("fixed_zero_mean_unit_variance", {"mean": [0.3, 1.0], "std": [2.0, 3.0], "axis": "channel"}),
    ("scale_linear", {"gain": 2.0, "offset": -1.0}),
    ("scale_linear", {"gain": [2.0, 3.0], "offset": [0.0, 1.0], "axis": "channel"}),
    ("scale_range", {"min_percentile": 1.0, "max_percentile": 99.8, "axes": ["y", "x"]}),
    ("scale_range", {"min_percentile": 5.0, "max_percentile": 95.0, "axes": ["channel", "y", "x"]}),
    ("sigmoid", {}),
    ("softmax", {"axis": "channel"}),
    ("zero_mean_unit_variance", {"axes": ["y", "x"]}),
    ("zero_mean_unit_variance", {"axes": ["channel", "y", "x"]}),
]


def theirs(name: str, kwargs: dict, x: np.ndarray) -> np.ndarray:
    """What the format's own library makes of it."""
    from bioimageio.core import Sample, Tensor
    from bioimageio.core.proc_setup import get_proc
    from bioimageio.core.stat_calculators import compute_measures
    from bioimageio.spec.model import v0_5

    kinds = {d.implemented_id: d for d in (
        v0_5.BinarizeDescr, v0_5.ClipDescr, v0_5.EnsureDtypeDescr, v0_5.FixedZeroMeanUnitVarianceDescr,
        v0_5.ScaleLinearDescr, v0_5.ScaleRangeDescr, v0_5.SigmoidDescr, v0_5.SoftmaxDescr,
        v0_5.ZeroMeanUnitVarianceDescr)}  # fmt: skip
    axes = [v0_5.BatchAxis(), v0_5.ChannelAxis(channel_names=[v0_5.Identifier("a"), v0_5.Identifier("b")])]
    axes += [v0_5.SpaceInputAxis(id=v0_5.AxisId(a), size=n) for a, n in zip("yx", x.shape[2:], strict=True)]
    tensor = v0_5.InputTensorDescr(id=v0_5.TensorId("raw"), axes=axes)
    operator = get_proc(kinds[name].model_validate({"id": name, **({"kwargs": kwargs} if kwargs else {})}), tensor)
    sample = Sample(members={"raw": Tensor.from_numpy(x.copy(), dims=AXES)}, stat={}, id="s")
    sample.stat.update(compute_measures(operator.required_measures, [sample]))
    operator(sample)
    return np.asarray(sample.members["raw"].data.transpose(*AXES))


@pytest.mark.parametrize(("name", "kwargs"), CASES)
def test_an_operation_does_what_the_formats_library_does(name: str, kwargs: dict) -> None:
    x = np.random.default_rng(1).normal(0.2, 1.5, (1, 2, 17, 23)).astype(np.float32)
    found = apply([Operation(name, kwargs)], (torch.from_numpy(x), AXES), {}, "here")
    assert np.allclose(found.numpy().astype(float), theirs(name, kwargs, x).astype(float), atol=1e-5)


def test_the_mean_and_variance_of_another_tensor_are_taken_over() -> None:
    rng = np.random.default_rng(2)
    x, other = (torch.from_numpy(rng.normal(m, s, (1, 1, 9, 9)).astype(np.float32)) for m, s in ((5, 2), (-3, 7)))
    operation = Operation("scale_mean_variance", {"reference_tensor": "raw"})
    found = apply([operation], (x, AXES), {"raw": (other, AXES)}, "here")
    assert np.isclose(float(found.mean()), float(other.mean()), atol=1e-4)
    assert np.isclose(float(found.std()), float(other.std()), atol=1e-4)


@pytest.mark.parametrize(
    ("name", "kwargs"),
    [("custom", {}), ("sigmoid2", {}), ("scale_linear", {"gain": "x"}), ("ensure_dtype", {"dtype": "save"}),
     ("scale_mean_variance", {"reference_tensor": "none"}), ("binarize", {}), ("softmax", {"axis": "z"}),
     ("scale_linear", {"gain": [1.0, 2.0, 3.0], "axis": "channel"})],
)  # fmt: skip
def test_an_operation_that_makes_no_sense_is_a_sentence(name: str, kwargs: dict) -> None:
    with pytest.raises(ModelError, match="operation"):
        apply([Operation(name, kwargs)], (torch.zeros(1, 2, 4, 4), AXES), {}, "here")


def test_every_operation_of_the_format_is_there() -> None:
    from typing import get_args

    from bioimageio.spec.model import v0_5

    assert {*get_args(v0_5.PreprocessingId), *get_args(v0_5.PostprocessingId)} - {"custom"} <= set(FUNCTIONS)


def test_fixed_numbers_per_channel_of_format_0_4_go_along_the_axis_that_is_left_out() -> None:
    axes = (Axis("batch", "batch"), Axis("channel", "channel", 2), Axis("y", "space", 8), Axis("x", "space", 8))
    plain = {
        "name": "zero_mean_unit_variance",
        "kwargs": {"mode": "fixed", "axes": "xy", "mean": [1, 2], "std": [3, 4]},
    }
    found = format_0_4._operation(plain, axes)
    assert found == Operation("fixed_zero_mean_unit_variance", {"mean": [1, 2], "std": [3, 4], "axis": "channel"})


def test_thresholds_per_channel_go_along_their_axis() -> None:
    x = torch.full((1, 2, 3, 3), 0.3)
    found = apply([Operation("binarize", {"threshold": [0.2, 0.5], "axis": "channel"})], (x, AXES), {}, "here")
    assert found[0, :, 0, 0].tolist() == [1.0, 0.0]
