"""Models of each kind that the examples of the format's own repository are of: loaded, or refused in a sentence."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from tests import packages
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
          of_any_channels]  # fmt: skip
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


def test_code_of_a_model_that_comes_after_the_network_is_not_run(tmp_path: Path) -> None:
    import torch

    module = resolve.load(made(tmp_path, with_code_after_it), Catalogue()).build()
    with pytest.raises(ModelError, match=r"this operation is not supported: .*custom"), torch.inference_mode():
        module(torch.zeros(1, 1, 64, 64))
