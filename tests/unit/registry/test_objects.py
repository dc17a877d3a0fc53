"""Models whose outputs are objects: by operations of the format, or by themselves; and any number of channels."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from tests import packages
from toolkit.cli import main
from toolkit.errors import ModelError
from toolkit.pipeline import segment as pipeline
from toolkit.plugins.catalogue import Catalogue
from toolkit.registry import resolve
from toolkit.registry.bioimageio.read import Opened
from toolkit.registry.bioimageio.reproduce import reproduce
from toolkit.testing.division import agreement
from toolkit.values.image import Image
from toolkit.values.instances import Instances

Made = Callable[[Path], tuple[Path, np.ndarray]]
# What torch says of the way in which Cellpose calls it.
pytestmark = pytest.mark.filterwarnings("ignore:Sparse invariant checks")
RAYS = 8
SPACE = [{"type": "space", "id": a, "size": {"min": 16, "step": 16}} for a in "yx"]
LIKE = [{"type": "space", "id": a, "size": {"tensor_id": "raw", "axis_id": a}} for a in "yx"]


def graph(nodes: list[Any], given: list[Any], made: list[Any], **constants: np.ndarray) -> bytes:
    from onnx import TensorProto, helper, numpy_helper

    tensors = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in (("in", given), ("out", made))]
    found = helper.make_graph(nodes, "net", ends[:1], ends[1:], tensors)
    opset = [helper.make_opsetid("", 18)]
    return helper.make_model(found, opset_imports=opset, ir_version=9).SerializeToString()


def package(
    folder: Path, net: bytes, axis: dict[str, Any], output: dict[str, Any], x: Any, y: Any, *more: dict[str, Any]
) -> Path:
    files = {"net.onnx": net, "in.npy": packages.npy(x), "out.npy": packages.npy(y)}
    raw = {"id": "raw", "axes": [{"type": "batch"}, axis, *SPACE], "test_tensor": {"source": "in.npy"}}
    out = {"test_tensor": {"source": "out.npy"}, **output}
    entry = {"onnx": {"source": "net.onnx", "opset_version": 18}}
    plain = packages.described(
        files | packages.tensors(), entry, inputs=[raw], outputs=[out, *more], format_version="0.5.9"
    )
    return packages.zipped(folder / "model.zip", {**files, "rdf.yaml": json.dumps(plain).encode()})


def dots(*places: tuple[int, int]) -> np.ndarray:
    """An image that is 1 at some places and falls off around them."""
    y, x = np.mgrid[:64, :64]
    return np.max([np.exp(-((y - a) ** 2 + (x - b) ** 2) / 8) for a, b in places], 0).astype(np.float32)[None, None]


def star(folder: Path, operation: str = "stardist_postprocessing") -> tuple[Path, np.ndarray]:
    """A network that takes the image for the probability, and all rays for 6 voxels long; and its labels."""
    from onnx import helper
    from stardist import non_maximum_suppression, polygons_to_label

    x = dots((20, 20), (20, 45), (50, 30))
    rays = np.full((64, 64, RAYS), 6, np.float32)
    points, probability, distances = non_maximum_suppression(
        rays, x[0, 0], grid=(1, 1), prob_thresh=0.6, nms_thresh=0.3, b=2
    )
    y = polygons_to_label(distances, points, prob=probability, shape=(64, 64))[None, None].astype(np.float32)
    weight = np.zeros((1 + RAYS, 1, 1, 1), np.float32)
    weight[0] = 1
    bias = np.array([0, *[6] * RAYS], np.float32)
    net = graph([helper.make_node("Conv", ["in", "w", "b"], ["out"])], ["b", 1, "y", "x"], ["b", 1 + RAYS, "y", "x"],
                w=weight, b=bias)  # fmt: skip
    kwargs = {"prob_threshold": 0.6, "nms_threshold": 0.3, "n_rays": RAYS, "grid": [1, 1], "b": 2}
    output = {"id": "objects", "axes": [{"type": "batch"}, {"type": "channel", "channel_names": ["objects"]}, *LIKE],
              "postprocessing": [{"id": operation, "kwargs": kwargs}]}  # fmt: skip
    return package(folder, net, {"type": "channel", "channel_names": ["dna"]}, output, x, y), y


def test_a_package_that_an_operation_needs_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from toolkit.registry.bioimageio import objects

    path, _ = star(tmp_path)
    monkeypatch.setattr(objects, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match="needs a package that is not installed: stardist; pip install stardist"):
        reproduce(Opened.at(path), Catalogue())


def cellpose(folder: Path) -> tuple[Path, np.ndarray]:
    """A network whose flow leads uphill in the image, and whose cells are where it is bright; and its labels."""
    from cellpose.dynamics import compute_masks
    from cellpose.utils import fill_holes_and_remove_small_masks
    from onnx import helper

    weight = np.zeros((3, 1, 3, 3), np.float32)
    weight[0, 0, :, 1] = weight[1, 0, 1] = [-1, 0, 1]
    weight[2, 0, 1, 1] = 1
    nodes = [
        helper.make_node("Conv", ["in", "w"], ["all"], pads=[1, 1, 1, 1]),
        helper.make_node("Split", ["all", "parts"], ["uphill", "bright"], axis=1),
        helper.make_node("ReduceL2", ["uphill", "axis"], ["steep"], keepdims=1),
        helper.make_node("Max", ["steep", "little"], ["some"]),
        helper.make_node("Div", ["uphill", "some"], ["way"]),
        helper.make_node("Mul", ["way", "five"], ["flow"]),
        helper.make_node("Concat", ["flow", "bright"], ["out"], axis=1),
    ]
    net = graph(nodes, ["b", 1, "y", "x"], ["b", 3, "y", "x"], w=weight, parts=np.array([2, 1]), axis=np.array([1]),
                little=np.array([1e-4], np.float32), five=np.array([5], np.float32))  # fmt: skip
    x = dots((20, 20), (20, 45), (50, 30))
    down, right = np.zeros((2, 64, 64), np.float32)
    down[1:-1, 1:-1], right[1:-1, 1:-1] = x[0, 0, 2:, 1:-1] - x[0, 0, :-2, 1:-1], x[0, 0, 1:-1, 2:] - x[0, 0, 1:-1, :-2]
    flow = np.stack([down, right])
    flow = 5 * flow / np.maximum(np.hypot(*flow), 1e-4)
    kwargs = {"cellprob_threshold": 0.3, "flow_threshold": 0.4, "do_3D": False}
    masks = fill_holes_and_remove_small_masks(compute_masks(flow, x[0, 0], **kwargs), min_size=15)
    output = {"id": "flows", "axes": [{"type": "batch"}, {"type": "channel", "channel_names": ["cells"]}, *LIKE],
              "postprocessing": [{"id": "cellpose_flow_dynamics", "kwargs": kwargs}]}  # fmt: skip
    y = masks[None, None].astype(np.float32)
    return package(folder, net, {"type": "channel", "channel_names": ["dna"]}, output, x, y), y


@pytest.mark.parametrize("made", [star, cellpose], ids=["stardist", "cellpose"])
def test_a_package_gives_the_labels_of_its_own_test_tensor(tmp_path: Path, made: Made) -> None:
    path, y = made(tmp_path)
    assert y.max() == 3
    assert [r.passed for r in reproduce(Opened.at(path), Catalogue())] == [True]
    model = resolve.load(str(path), Catalogue())
    assert model.recipe.postprocess.kind == "instances"
    found = pipeline.segment(Image.from_array(dots((20, 20), (20, 45), (50, 30))[0], "CYX"), model, device="cpu",
                             changes=["tiling.window=[64, 64]", "tiling.overlap=0"])  # fmt: skip
    assert found == Instances.from_labels(y[0, 0].astype(np.int32))
    assert found.attributes["class"].tolist() == ["objects" if made is star else "cells"] * 3


@pytest.mark.parametrize("made", [star, cellpose], ids=["stardist", "cellpose"])
def test_objects_of_a_package_are_stitched_between_windows(
    tmp_path: Path, made: Made, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SEG_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    path, y = made(tmp_path)
    tifffile.imwrite("dots.tif", dots((20, 20), (20, 45), (50, 30))[0, 0])
    run = ["run", "dots.tif", "--model", str(path), "--set", "tiling.window=[48,48]", "--no-preview", "--workers", "1"]
    assert main([*run, "--set", "tiling.overlap=32", "-o", "out", "--diameter", "off"]) == 0
    assert "4 windows, stitched" in capsys.readouterr().err
    record = json.loads(Path("out/run.json").read_text())
    assert record["images"][0]["stitched"] is True
    found = Instances.from_labels(tifffile.imread("out/dots.labels.tif"))
    assert agreement(Instances.from_labels(y[0, 0].astype(np.int32)), found, 80) == 1.0


@pytest.mark.parametrize("channels", [1, 3])
def test_a_model_of_any_number_of_channels_gives_nuclei_and_cells(tmp_path: Path, channels: int) -> None:
    from onnx import helper

    x = np.repeat(dots((20, 20)), 2, axis=1)
    y = np.concatenate([x[:, :1] > 0.5, x[:, :1] > 0.25], 1).astype(np.float32)
    nodes = [
        helper.make_node("ReduceMax", ["in", "axis"], ["most"], keepdims=1),
        *(helper.make_node("Greater", ["most", f"t{k}"], [f"g{k}"]) for k in "01"),
        *(helper.make_node("Cast", [f"g{k}"], [f"c{k}"], to=1) for k in "01"),
        helper.make_node("Concat", ["c0", "c1"], ["out"], axis=1),
    ]
    net = graph(nodes, ["b", "i", "y", "x"], ["b", 2, "y", "x"], axis=np.array([1]), t0=np.float32(0.5).reshape(1),
                t1=np.float32(0.25).reshape(1))  # fmt: skip
    index = {"type": "index", "size": {"min": 1, "step": 1}}
    names = {"type": "channel", "channel_names": ["nuclei", "cells"]}
    output = {"id": "instance_segmentation", "axes": [{"type": "batch"}, names, *LIKE]}
    path = package(tmp_path, net, index, output, x, y)
    assert [r.passed for r in reproduce(Opened.at(path), Catalogue())] == [True]
    model = resolve.load(str(path), Catalogue())
    assert model.recipe.input.channels == "all"
    image = Image.from_array(np.repeat(dots((20, 20), (52, 52))[0], channels, axis=0), "CYX")
    # One label for everything in a window, and no window sees both dots.
    found = pipeline.segment(image, model, device="cpu", changes=["tiling.window=[32, 32]", "tiling.overlap=16"])
    kinds = found.attributes["class"].tolist()
    assert sorted(kinds) == ["cells", "cells", "nuclei", "nuclei"]
    sizes = dict(zip(kinds, found.sizes.tolist(), strict=True))
    assert sizes["cells"] > sizes["nuclei"] > 10


def bright(folder: Path, **changes: Any) -> Path:
    """A model with three outputs: nuclei, cells, and one number for the whole image."""
    from onnx import TensorProto, helper, numpy_helper

    levels = [numpy_helper.from_array(np.float32(t).reshape(1), f"t{k}") for k, t in enumerate((0.5, 0.25))]
    nodes = [
        *(helper.make_node("Greater", ["in", f"t{k}"], [f"g{k}"]) for k in "01"),
        *(helper.make_node("Cast", [f"g{k}"], [f"out{k}"], to=1) for k in "01"),
        helper.make_node("GlobalMaxPool", ["in"], ["brightest"]),
        helper.make_node("Flatten", ["brightest"], ["most"]),
    ]
    ends = [
        helper.make_tensor_value_info(n, TensorProto.FLOAT, ["b", 1, *s])
        for n, s in (("in", "yx"), ("out0", "yx"), ("out1", "yx"), ("most", ""))
    ]
    found = helper.make_graph(nodes, "net", ends[:1], ends[1:], levels)
    net = helper.make_model(found, opset_imports=[helper.make_opsetid("", 18)], ir_version=9).SerializeToString()
    batch, channel = {"type": "batch"}, {"type": "channel", "channel_names": ["c0"]}
    nuclei, cells = (
        {"id": name, "axes": [batch, channel, *LIKE], "test_tensor": {"source": "out.npy"}}
        for name in ("nuclei_instances", "cell_instances")
    )
    most = {"id": "most", "axes": [batch, channel], "test_tensor": {"source": "out.npy"}}
    x = dots((20, 20))
    dna = {"type": "channel", "channel_names": ["dna"]}
    return package(folder, net, dna, nuclei, x, (x > 0.5).astype(np.float32), cells | changes, most)


def test_outputs_that_are_objects_are_kinds_of_objects(tmp_path: Path) -> None:
    model = resolve.load(str(bright(tmp_path)), Catalogue())
    assert [(head.name, head.channels) for head in model.heads] == [("instances", 2)]
    assert model.notes == ("output most is not used: it is no map of the image, voxel by voxel",)
    image = Image.from_array(dots((20, 20))[0], "CYX")
    small = ["tiling.window=[64, 64]", "tiling.overlap=0"]
    found = pipeline.segment(image, model, device="cpu", changes=small)
    sizes = dict(zip(found.attributes["class"].tolist(), found.sizes.tolist(), strict=True))
    assert sizes["cell_instances"] > sizes["nuclei_instances"] > 10
    cells = pipeline.segment(image, model, device="cpu", changes=[*small, "postprocess.only=cell_instances"])
    assert cells.sizes.tolist() == [sizes["cell_instances"]]


def test_an_output_of_several_channels_beside_others_names_both() -> None:
    from toolkit.registry.bioimageio.description import Tensor
    from toolkit.registry.bioimageio.outputs import kinds

    one, two = (Tensor(n, (), c, "float32", (), None) for n, c in (("a", ("c0",)), ("b", ("c0", "c1"))))
    assert kinds([two]) == ("c0", "c1")
    assert kinds([one, two]) == ("a", "b/c0", "b/c1")


def test_a_description_that_lies_is_the_fault_of_the_model(tmp_path: Path) -> None:
    wrong = [{"type": "batch"}, {"type": "channel", "channel_names": list("abc")}, *LIKE]
    model = resolve.load(str(bright(tmp_path, axes=wrong)), Catalogue())
    with pytest.raises(ModelError, match="cell_instances has size 1 along channel, not 3; ask the model's author"):
        pipeline.segment(Image.from_array(dots((20, 20))[0], "CYX"), model, device="cpu")


def test_a_keyword_that_an_operation_lacks_is_named() -> None:
    from toolkit.registry.bioimageio import objects

    x = np.zeros((1, 1 + RAYS, 64, 64), np.float32)
    with pytest.raises(ModelError, match="stardist_postprocessing: nms_threshold: field required; ask the model's"):
        objects.labels("stardist_postprocessing", x, ("batch", "channel", "y", "x"), {"prob_threshold": 0.5})
