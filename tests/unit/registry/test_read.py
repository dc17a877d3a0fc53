from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import packages
from tests.golden import FOLDER, zoo_package
from toolkit.cli import main
from toolkit.errors import ModelError, NotTrusted
from toolkit.pipeline import segment as pipeline
from toolkit.plugins.catalogue import Catalogue
from toolkit.registry import resolve
from toolkit.registry.bioimageio.description import Axis, Tensor
from toolkit.registry.bioimageio.module import from_model, to_model
from toolkit.registry.bioimageio.read import Opened
from toolkit.registry.bioimageio.reproduce import reproduce
from toolkit.registry.gate import code
from toolkit.registry.store import Store
from toolkit.values.image import Image


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SEG_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def opened(tmp_path: Path, files: dict[str, bytes]) -> Opened:
    return Opened.at(packages.zipped(tmp_path / "model.zip", files))


def test_what_a_foreign_model_does_otherwise_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def change(plain: dict[str, Any]) -> None:
        spread = {"id": "scale_range", "kwargs": {"axes": ["y", "x"], "min_percentile": 2, "max_percentile": 98}}
        plain["inputs"][0]["preprocessing"] = [spread, {"id": "clip", "kwargs": {"min": 0, "max": 1}}, spread]

    path = packages.zipped(tmp_path / "model.zip", edited(change))
    note = "intensities are normalised in each window, as the model describes it"
    assert resolve.load(str(path), Catalogue()).notes == (note,)
    assert main(["models", "show", str(path)]) == 0
    assert note in capsys.readouterr().out
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((40, 50), np.uint8))
    out = tmp_path / "out"
    line = ["run", str(tmp_path / "a.tif"), "--model", str(path), "-o", str(out), "--device", "cpu", "--workers", "1"]
    assert main(line) == 0
    assert " ".join(capsys.readouterr().err.split()).count(note) == 1
    assert json.loads((out / "run.json").read_text())["model"]["notes"] == [note]


@pytest.mark.parametrize("version", ["0_4", "0_5"])
def test_a_real_package_reproduces_its_test_tensor(tmp_path: Path, version: str) -> None:
    found = reproduce(Opened.at(zoo_package(version, tmp_path)), Catalogue())
    assert [r.passed for r in found] == [True]
    assert found[0].difference < 1e-4


@pytest.mark.parametrize("version", ["0_4", "0_5"])
def test_a_real_package_finds_the_nuclei_of_a_real_image(tmp_path: Path, version: str) -> None:
    model = resolve.load(str(zoo_package(version, tmp_path)), Catalogue())
    image = tifffile.imread(sorted((FOLDER / "dsb2018" / "images").glob("*.tif"))[3])
    assert len(pipeline.segment(Image.from_array(image, "YX"), model, device="cpu")) > 5
    changed = pipeline.segment(
        Image.from_array(image, "YX"), model, changes=["postprocess.kind=threshold"], device="cpu"
    )
    assert len(changed) > 5


def test_a_package_becomes_a_model_that_the_pipeline_runs(tmp_path: Path) -> None:
    packages.zipped(tmp_path / "m.zip", packages.good())
    model = resolve.load(str(tmp_path / "m.zip"), Catalogue())
    assert model.recipe.normalise.kind == "mean_std"
    assert model.recipe.tiling.window == (256, 256)
    assert [h.name for h in model.heads] == ["foreground"]
    assert model.licence == "MIT"
    assert model.version == "1.2"
    image = np.zeros((100, 90), np.uint8)
    image[20:40, 20:40] = image[60:80, 50:70] = 200
    assert len(pipeline.segment(Image.from_array(image, "YX"), model, device="cpu")) == 2


def test_a_recipe_of_a_foreign_model_survives_as_text(tmp_path: Path) -> None:
    import yaml

    from toolkit.plugins.recipe import Recipe

    packages.zipped(tmp_path / "m.zip", packages.good())
    model = resolve.load(str(tmp_path / "m.zip"), Catalogue())
    again = Recipe.parse(yaml.safe_load(model.recipe.dump()), Catalogue(), model.owner)
    assert again == model.recipe
    assert model.with_recipe(again).recipe == again


@pytest.mark.slow
def test_code_runs_only_once_the_user_trusts_these_very_bytes(tmp_path: Path) -> None:
    for kind in ("torchscript", "pytorch_state_dict"):
        made = opened(tmp_path, packages.good(kind))
        with pytest.raises(NotTrusted, match="seg models trust"):
            reproduce(made, Catalogue(), Store().trusts)
        Store().trust(made.files.digest, {})
        found = reproduce(made, Catalogue(), Store().trusts)
        assert [(r.weights, r.passed) for r in found] == [(kind, True)]
        edited = {**packages.good(kind), "net.py": packages.NET.encode() + b"#"}
        with pytest.raises(NotTrusted):
            reproduce(opened(tmp_path, edited), Catalogue(), Store().trusts)


def test_reviewed_code_runs_without_a_question(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = opened(tmp_path, packages.good("pytorch_state_dict"))
    monkeypatch.setattr(code, "reviewed", lambda: frozenset([packages.sha256(packages.NET.encode())]))
    assert [r.passed for r in reproduce(made, Catalogue())] == [True]


@pytest.mark.slow
@pytest.mark.linux
def test_trusted_code_writes_nothing_and_reaches_nobody(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    source = (
        packages.NET
        + f"""
import socket
for attempt in (lambda: open({str(marker)!r}, "w"), lambda: socket.create_connection(("127.0.0.1", 9), 1)):
    try:
        attempt()
    except PermissionError:
        continue
    raise SystemExit("not sandboxed")
open("scratch", "w").close()
print("this must not disturb the answers")
"""
    )
    files = {**packages.good("pytorch_state_dict"), "net.py": source.encode()}
    files = packages.altered(files, lambda p: _architecture(p).update(sha256=packages.sha256(source.encode())))
    assert [r.passed for r in reproduce(opened(tmp_path, files), Catalogue(), lambda _: True)] == [True]
    assert not marker.exists()


def _architecture(plain: dict[str, Any]) -> dict[str, Any]:
    return plain["weights"]["pytorch_state_dict"]["architecture"]


def test_a_network_of_a_known_library_is_data_and_any_other_import_never_runs(tmp_path: Path) -> None:
    from monai.networks.nets import BasicUNet

    torch.manual_seed(0)
    kwargs = {"spatial_dims": 2, "in_channels": 1, "out_channels": 1, "features": [4] * 6}
    network = BasicUNet(**kwargs).eval()
    x = np.random.default_rng(0).normal(size=(1, 1, 32, 32)).astype(np.float32)
    with torch.inference_mode():
        y = network(torch.from_numpy(x)).numpy()
    files = {"in.npy": packages.npy(x), "out.npy": packages.npy(y), "net.pt": packages.pt(network.state_dict())}
    entry = {
        "source": "net.pt",
        "architecture": {"callable": "BasicUNet", "import_from": "monai.networks.nets", "kwargs": kwargs},
    }
    plain = packages.described(files, {"pytorch_state_dict": entry})
    del plain["inputs"][0]["preprocessing"], plain["outputs"][0]["postprocessing"]
    files["rdf.yaml"] = json.dumps(plain).encode()
    assert [r.passed for r in reproduce(opened(tmp_path, files), Catalogue())] == [True]
    for module, name in (("os", "system"), ("monai.networks.nets", "FlexibleUNet"), ("toolkit.cli", "main")):
        bad = packages.altered(files, lambda p, m=module, n=name: _architecture(p).update(import_from=m, callable=n))
        with pytest.raises(ModelError, match="none of the model's weights can be run"):
            reproduce(opened(tmp_path, bad), Catalogue(), lambda _: True)


def predicted(path: Path) -> Any:
    with torch.inference_mode():
        return resolve.load(str(path), Catalogue()).build()(torch.zeros(1, 1, 256, 256))


def edited(change: Callable[[dict[str, Any]], Any]) -> dict[str, bytes]:
    return packages.altered(packages.good(), change)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda p: p["weights"]["onnx"].update(sha256="0" * 64), "not what its sha256 says"),
        (lambda p: p["weights"]["onnx"].update(source="../net.onnx"), "lacks a file"),
        (lambda p: p["weights"]["onnx"].update(source="http://127.0.0.1:9/net.onnx"), "outside itself"),
        (lambda p: p["inputs"].append({**p["inputs"][0], "id": "second"}), "more than an image"),
        (lambda p: p["inputs"][0]["axes"][3].update(id="z"), "does not work on images"),
        (lambda p: p["outputs"][0]["axes"][3]["size"].update(offset=-3), "no output of this model"),
        (lambda p: p.update(format_version="0.3.0"), "format is not supported"),
        (lambda p: p.update(type="dataset"), "no model but a dataset"),
        (lambda p: p.pop("inputs"), "not valid"),
        (lambda p: p.update(weights=[]), "not valid"),
        (lambda p: p["inputs"][0]["axes"][2].update(id="x"), "name of their own"),
        (lambda p: p["inputs"][0].update(preprocessing=[{"id": "custom"}]), "not supported"),
    ],
)
def test_what_cannot_run_is_refused_in_a_sentence(tmp_path: Path, change: Callable[[Any], Any], said: str) -> None:
    packages.zipped(tmp_path / "m.zip", edited(change))
    with pytest.raises(ModelError, match=said):
        predicted(tmp_path / "m.zip")


def test_a_model_without_padding_gets_the_border_that_it_cuts_off(tmp_path: Path) -> None:
    from onnx import helper

    pool = helper.make_node("AveragePool", ["in"], ["out"], kernel_shape=[9, 9])
    files = {**packages.good(), "net.onnx": packages.onnx_graph(nodes=[pool])}

    def change(plain: dict[str, Any]) -> None:
        plain["weights"]["onnx"].pop("sha256")
        for axis in plain["outputs"][0]["axes"][2:]:
            axis["size"]["offset"] = -8
        del plain["inputs"][0]["preprocessing"], plain["outputs"][0]["postprocessing"]

    packages.zipped(tmp_path / "m.zip", packages.altered(files, change))
    model = resolve.load(str(tmp_path / "m.zip"), Catalogue())
    assert model.recipe.tiling.window == (264, 264)
    x = torch.rand(2, 1, 264, 264)
    with torch.inference_mode():
        y = model.build()(x)["foreground"]
    assert y.shape == x.shape
    assert torch.allclose(y[..., 4:-4, 4:-4], torch.nn.functional.avg_pool2d(x, 9, 1), atol=1e-5)


def test_a_window_that_the_model_does_not_take_is_a_sentence(tmp_path: Path) -> None:
    packages.zipped(tmp_path / "m.zip", packages.good())
    model = resolve.load(str(tmp_path / "m.zip"), Catalogue())
    with pytest.raises(ModelError, match=r"wants 16 \+ n·16"):
        model.build()(torch.zeros(1, 1, 24, 32))


@settings(max_examples=50)
@given(st.permutations(["b", "c", "z", "y", "x"]), st.sampled_from([("z", "y", "x"), ("y", "x")]), st.booleans())
def test_axes_in_any_order_go_there_and_back(order: list[str], space: tuple[str, ...], channel: bool) -> None:
    kinds = {"b": "batch", "c": "channel"}
    kept = [a for a in order if a in space or a == "b" or (a == "c" and channel)]
    axes = tuple(Axis(kinds.get(a, a), kinds.get(a, "space"), None) for a in kept)  # type: ignore[arg-type]
    tensor = Tensor("t", axes, (), "float32", (), None)
    assert tensor.space == space
    windows = torch.rand(2, 3 if channel else 1, *(range(4, 4 + len(space))))
    there = to_model(windows, tensor)
    assert [there.shape[i] for i, a in enumerate(kept)] == [
        {"b": 2, "c": 3}.get(a) or windows.shape[2 + space.index(a)] for a in kept
    ]
    assert torch.equal(from_model(there, tensor), windows)


@pytest.mark.parametrize(
    ("channels", "after", "heads"),
    [
        (["nuclei"], "sigmoid", ["foreground"]),
        (["cell boundary"], "sigmoid", ["boundary", "foreground"]),
        (["mask", "border"], "sigmoid", ["foreground", "boundary"]),
        (["channel0", "channel1"], "sigmoid", ["foreground", "boundary"]),
        (["a", "b"], "softmax", ["foreground"]),
        (["bg", "fg", "boundary"], "softmax", ["foreground", "boundary"]),
        (["affinity y", "affinity x"], "sigmoid", ["affinities"]),
        (["u", "v", "w", "q"], "sigmoid", ["probability"]),
    ],
)
def test_outputs_become_heads_by_what_they_are(
    tmp_path: Path, channels: list[str], after: str, heads: list[str]
) -> None:
    def change(plain: dict[str, Any]) -> None:
        plain["outputs"][0]["axes"][1]["channel_names"] = channels
        plain["outputs"][0]["postprocessing"] = [{"id": after}]
        plain["outputs"][0]["id"] = "probability" if len(channels) == 4 else "out"

    found = opened(tmp_path, edited(change)).load(Catalogue(), "here")
    assert [h.name for h in found.heads] == heads
    assert found.recipe.postprocess.kind == ("mutex_watershed" if heads == ["affinities"] else "watershed")


def test_statistics_that_one_fit_per_image_can_do_leave_the_windows(tmp_path: Path) -> None:
    def normalised(*steps: dict[str, Any], channels: tuple[str, ...] = ("a",)) -> tuple[str, int, int]:
        def change(plain: dict[str, Any]) -> None:
            plain["inputs"][0]["preprocessing"] = list(steps)
            plain["inputs"][0]["axes"][1]["channel_names"] = list(channels)

        made = opened(tmp_path, edited(change))
        return made.adapter.normalise.kind, len(made.adapter.operations), len(made.adapter.notes)

    zero = {"id": "zero_mean_unit_variance", "kwargs": {"axes": ["channel", "y", "x"]}}
    spread = {"id": "scale_range", "kwargs": {"axes": ["y", "x"], "min_percentile": 2, "max_percentile": 98}}
    clip, floats = (
        {"id": "clip", "kwargs": {"min": 0, "max": 1}},
        {"id": "ensure_dtype", "kwargs": {"dtype": "float32"}},
    )
    assert normalised(floats, zero, floats) == ("mean_std", 1, 0)
    assert normalised(floats, zero, channels=("a", "b")) == ("none", 2, 1)
    assert normalised(spread, clip, channels=("a", "b")) == ("percentile", 1, 0)
    assert normalised(clip, spread) == ("none", 2, 1)
    assert normalised(clip) == ("none", 1, 0)
    assert normalised() == ("none", 0, 0)


def test_the_index_holds_the_facts_of_the_collection() -> None:
    from toolkit.registry import zoo

    there = json.loads((FOLDER / "collection.json").read_text(encoding="utf8"))
    for model in zoo.models():
        facts = there[model.id]
        assert model.name == facts["name"]
        assert sorted(model.weights) == facts["weights"]
        assert model.licence == facts["licence"]
    assert len(zoo.models()) == 136
    assert "affable-shark" in [m.id for m in zoo.search(["nucleus", "fluorescence"])]


SIZES = [("micrometer", 0.2, (0.2, 0.2)), ("nanometer", 200.0, (0.2, 0.2)), ("pixel", 0.2, None), (None, None, None)]


@pytest.mark.parametrize(("unit", "scale", "wanted"), SIZES)
def test_the_pixel_size_on_the_axes_of_a_model_is_that_of_its_recipe(
    unit: str | None, scale: float | None, wanted: tuple[float, ...] | None, tmp_path: Path
) -> None:
    def sized(plain: dict[str, Any]) -> None:
        for tensor in (plain["inputs"][0], plain["outputs"][0]):
            for axis in tensor["axes"][2:]:
                axis |= {"unit": unit, "scale": scale} if unit else {}

    path = packages.zipped(tmp_path / "sized.zip", packages.altered(packages.good(), sized))
    assert resolve.load(str(path), Catalogue()).recipe.input.spacing_um == (wanted and pytest.approx(wanted))
