"""Models of each kind that the examples of the format's own repository are of: loaded, or refused in a sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import packages
from tests.unit.registry.test_objects import graph
from toolkit.errors import ModelError
from toolkit.plugins.catalogue import Catalogue
from toolkit.registry import resolve

Plain = dict[str, Any]


def space(tensor: Plain) -> list[Plain]:
    return [axis for axis in tensor["axes"] if axis["type"] == "space"]


def as_it_is(plain: Plain) -> None:
    """Sizes by steps, as the U-Net of nuclei has them."""


def of_fixed_shape(plain: Plain) -> None:
    for axis in space(plain["inputs"][0]):
        axis["size"] = 64


def with_a_smaller_output(plain: Plain) -> None:
    for axis in space(plain["outputs"][0]):
        axis["size"]["offset"] = -8


def with_a_halo(plain: Plain) -> None:
    for axis in space(plain["outputs"][0]):
        axis["halo"] = 4


def without_names(plain: Plain) -> None:
    for tensor in (plain["inputs"][0], plain["outputs"][0]):
        del tensor["id"]
    for axis in space(plain["outputs"][0]):
        axis["size"]["tensor_id"] = "input"


def with_an_axis_more(plain: Plain) -> None:
    plain["outputs"][0]["axes"].append({"type": "index", "size": 1})


def of_any_channels(plain: Plain) -> None:
    plain["inputs"][0]["axes"][1] = {"type": "index", "size": {"min": 1, "step": 1}}


def with_two_inputs(plain: Plain) -> None:
    plain["inputs"].append({**deepcopy(plain["inputs"][0]), "id": "other"})


def of_keras(plain: Plain) -> None:
    plain["weights"] = {"keras_hdf5": {"source": "net.onnx", "tensorflow_version": "2.4"}}


def of_tensorflow(plain: Plain) -> None:
    plain["weights"] = {"tensorflow_saved_model_bundle": {"source": "net.onnx", "tensorflow_version": "2.4"}}


def with_an_axis_of_space_more(plain: Plain) -> None:
    plain["outputs"][0]["axes"].insert(2, {"type": "space", "id": "z", "size": 1})


def with_a_larger_grid(plain: Plain) -> None:
    for axis in space(plain["outputs"][0]):
        axis["scale"] = 0.5


def with_one_name_twice(plain: Plain) -> None:
    plain["outputs"][0]["id"] = "raw"


def of_whole_images(plain: Plain) -> None:
    plain["outputs"][0]["axes"] = plain["outputs"][0]["axes"][:2]


def with_code_after_it(plain: Plain) -> None:
    plain["outputs"][0]["postprocessing"] = [{"id": "custom", "callable": "run", "source": "net.onnx", "kwargs": {}}]


LOADED = [as_it_is, of_fixed_shape, with_a_smaller_output, with_a_halo, without_names, with_an_axis_more,
          with_an_axis_of_space_more, of_any_channels]  # fmt: skip
REFUSED = [
    (with_two_inputs, "this model needs more than an image: .*inputs raw, other"),
    (of_keras, "none of the model's weights can be run: .*keras_hdf5"),
    (of_tensorflow, "none of the model's weights can be run: .*tensorflow_saved_model_bundle"),
    (with_a_larger_grid, "no output of this model is a map of the image"),
    (with_one_name_twice, "a name of their own each"),
    (of_whole_images, "no output of this model is a map of the image"),
]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEG_HOME", str(tmp_path / "home"))


def made(folder: Path, change: Callable[[Plain], None]) -> str:
    return str(packages.zipped(folder / "model.zip", packages.altered(packages.good(), change)))


@pytest.mark.parametrize("change", LOADED, ids=lambda change: change.__name__)
def test_what_can_run_is_loaded(tmp_path: Path, change: Callable[[Plain], None]) -> None:
    model = resolve.load(made(tmp_path, change), Catalogue())
    assert [head.name for head in model.heads] == ["foreground"]
    assert model.recipe.postprocess.kind == "watershed"


@pytest.mark.parametrize(("change", "said"), REFUSED, ids=lambda case: getattr(case, "__name__", ""))
def test_what_cannot_is_refused_with_its_sentence(tmp_path: Path, change: Callable[[Plain], None], said: str) -> None:
    with pytest.raises(ModelError, match=said):
        resolve.load(made(tmp_path, change), Catalogue()).build()


def older(output: Plain, **change: Any) -> dict[str, bytes]:
    """A model of format 0.4 with this output."""
    files = packages.good()
    step = {"name": "zero_mean_unit_variance", "kwargs": {"axes": "yx", "mode": "per_sample"}}
    raw = {"name": "raw", "axes": "bcyx", "data_type": "float32", "preprocessing": [step],
           "shape": {"min": [1, 1, 16, 16], "step": [0, 0, 16, 16]}, **change}  # fmt: skip
    made = {"name": "probability", "data_type": "float32", "postprocessing": [{"name": "sigmoid"}], **output}
    entry = {"onnx": {"source": "net.onnx", "sha256": packages.sha256(files["net.onnx"])}}
    plain = {"format_version": "0.4.10", "type": "model", "name": "Tiny Net", "license": "MIT", "inputs": [raw],
             "outputs": [made], "test_inputs": ["in.npy"], "test_outputs": ["out.npy"], "weights": entry}  # fmt: skip
    return {**files, "rdf.yaml": json.dumps(plain).encode()}


def like(scale: list[float | None], offset: list[float]) -> Plain:
    return {"reference_tensor": "raw", "scale": scale, "offset": offset}


SAME = like([1, 0, 1, 1], [0, 0.5, 0, 0])
OLDER = {
    "as it is": ({"axes": "bcyx", "shape": SAME, "halo": [0, 0, 4, 4]}, {}),
    "of fixed shape": ({"axes": "bcyx", "shape": [1, 1, 64, 64]}, {"shape": [1, 1, 64, 64]}),
    "smaller": ({"axes": "bcyx", "shape": like([1, 0, 1, 1], [0, 0.5, -4, -4])}, {}),
    "an axis more": ({"axes": "bczyx", "shape": like([1, 0, None, 1, 1], [0, 0.5, 0.5, 0, 0])}, {}),
}


@pytest.mark.parametrize("name", OLDER)
def test_what_can_run_of_the_older_format_is_loaded(tmp_path: Path, name: str) -> None:
    output, change = OLDER[name]
    model = resolve.load(str(packages.zipped(tmp_path / "model.zip", older(output, **change))), Catalogue())
    assert [head.name for head in model.heads] == ["foreground"]


def test_a_model_with_an_axis_more_gives_its_map(tmp_path: Path) -> None:
    import torch
    from onnx import helper

    output, change = OLDER["an axis more"]
    files = older(output, **change)
    net = graph([helper.make_node("Unsqueeze", ["in", "z"], ["out"])], ["b", 1, "y", "x"], ["b", 1, 1, "y", "x"],
                z=np.array([2]))  # fmt: skip
    entry = {"source": "net.onnx", "sha256": packages.sha256(net)}
    files = packages.altered({**files, "net.onnx": net}, lambda plain: plain.update(weights={"onnx": entry}))
    module = resolve.load(str(packages.zipped(tmp_path / "model.zip", files)), Catalogue()).build()
    window = torch.rand(1, 1, 32, 48)
    with torch.inference_mode():
        assert torch.allclose(module(window)["foreground"], torch.sigmoid(window))


@pytest.mark.parametrize(
    ("output", "change", "said"),
    [
        ({"axes": "bc", "shape": [1, 28]}, {"shape": [1, 1, 64, 64]}, "no output of this model is a map of the image"),
        (
            {"axes": "bcyx", "shape": like([1, 0, 4, 4], [0, 0.5, 0, 0])},
            {"shape": {"min": [1, 1, 5, 5], "step": [0, 0, 5, 5]}},
            "no output of this model is a map of the image",
        ),
        ({"axes": "bcyx", "shape": SAME, "name": "raw"}, {}, "a name of their own each"),
    ],
    ids=["of whole images", "of a larger grid", "one name twice"],
)
def test_what_cannot_of_the_older_format_is_refused(tmp_path: Path, output: Plain, change: Plain, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        resolve.load(str(packages.zipped(tmp_path / "model.zip", older(output, **change))), Catalogue())


def test_code_of_a_model_that_comes_after_the_network_is_not_run(tmp_path: Path) -> None:
    import torch

    module = resolve.load(made(tmp_path, with_code_after_it), Catalogue()).build()
    with pytest.raises(ModelError, match=r"this operation is not supported: .*custom"), torch.inference_mode():
        module(torch.zeros(1, 1, 64, 64))
