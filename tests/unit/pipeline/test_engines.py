"""What runs a network is a fixed rule, engines agree, and what cannot run is said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.models import bright, by_chance, load
from toolkit.errors import ModelError, UsageError
from toolkit.gpu.backend import Backend
from toolkit.pipeline import engines
from toolkit.pipeline.elsewhere import Model
from toolkit.pipeline.engines import Engine, choose
from toolkit.pipeline.graphs import GraphEngine, activated
from toolkit.pipeline.modules import lean
from toolkit.pipeline.predictor import Predictor
from toolkit.pipeline.session import Session
from toolkit.plugins.catalogue import Catalogue
from toolkit.registry import resolve
from toolkit.registry.bioimageio.proved import proved
from toolkit.registry.gate.graph import Graph
from toolkit.registry.package import ModelPackage
from toolkit.steps import normalise
from toolkit.steps.normalise import Normalise
from toolkit.values.image import Image
from toolkit.values.prediction import Head
from toolkit.values.tiles import Box

PLAIN = {
    "name": "by-chance",
    "network": {"kind": "plain_unet", "maps": 4, "levels": 3},
    "loss": {"kind": "embedseg:embedseg"},
    "postprocess": {"kind": "embedseg:embedseg"},
    "tiling": {"window": [32, 32], "overlap": 8},
    "training": {"crop": [32, 32]},
}
ERFNET = {**PLAIN, "network": {"kind": "embedseg:erfnet", "width": 0.25}}


def graph_of(model: ModelPackage) -> Graph:
    """What a package would bring: the heads in order, with `tanh` applied, without a gate."""
    module = model.build()

    def run(given: Any) -> list[np.ndarray]:
        with torch.inference_mode():
            said = module(torch.from_numpy(given[0]))
        return [(torch.tanh(said[h.name]) if h.activation == "tanh" else said[h.name]).numpy() for h in model.heads]

    return Graph(run, "here")


@pytest.fixture
def model(tmp_path: Path) -> ModelPackage:
    plain = load(by_chance(tmp_path / "model", PLAIN))
    return replace(plain, graph=lambda: graph_of(plain))


def test_auto_is_torch_and_the_graph_runs_where_it_is_asked_for(model: ModelPackage) -> None:
    assert choose("auto", model, Backend()) == choose("torch", model, Backend()) == Engine("torch")
    assert choose("onnxruntime", model, Backend()) == Engine("onnxruntime")


def test_sixteen_bits_are_used_where_the_recipe_allows_them_and_the_processor_has_them(
    model: ModelPackage, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed = model.with_recipe(model.recipe.changed(["tiling.precision=bfloat16"], Catalogue(), model.owner))
    for has in (True, False):
        monkeypatch.setattr(engines, "short", lambda _, has=has: has)
        assert choose("auto", allowed, Backend()).precision == ("bfloat16" if has else "float32")
        assert choose("auto", model, Backend()).precision == "float32"
    assert str(Engine("torch", "bfloat16")) == "torch, bfloat16"


def test_without_torch_auto_falls_back_to_the_graph(model: ModelPackage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "find_spec", lambda name: None if name == "torch" else "there")
    assert choose("auto", model, Backend()) == Engine("onnxruntime")


def test_an_engine_that_cannot_take_the_model_is_refused_in_a_sentence(
    model: ModelPackage, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match=r"no such engine: --engine onxruntime; did you mean 'onnxruntime'"):
        choose("onxruntime", model, Backend())
    with pytest.raises(UsageError, match="the model has no graph"):
        choose("onnxruntime", replace(model, graph=None), Backend())
    with pytest.raises(UsageError, match="on CPUs only, not on cuda:0"):
        choose("onnxruntime", model, Backend("cuda:0"))
    turned = model.with_recipe(model.recipe.changed(["tiling.augment=turns"], Catalogue(), model.owner))
    with pytest.raises(UsageError, match=r"tiling\.augment=turns"):
        choose("onnxruntime", turned, Backend())
    monkeypatch.setattr(engines, "find_spec", lambda name: None if name == "onnxruntime" else "there")
    with pytest.raises(UsageError, match="onnxruntime or onnx is not installed"):
        choose("onnxruntime", model, Backend())


def test_a_worker_that_lacks_the_engine_is_refused(tmp_path: Path) -> None:
    plain = load(by_chance(tmp_path / "model", PLAIN))
    named = replace(Model.of(plain, Backend()), engine=Engine("torch", "bfloat16"))
    with pytest.raises(UsageError, match="another engine than the run was begun with: torch, bfloat16"):
        named.session()


VOLUME = {
    **PLAIN,
    "network": {**PLAIN["network"], "pooling": [[1, 2, 2], [2, 3, 2]], "norm": "none", "convolutions": 1},
    "tiling": {"window": [4, 24, 16], "overlap": 2},
    "training": {"crop": [4, 24, 16]},
}


@pytest.mark.parametrize("data", [PLAIN, ERFNET, VOLUME], ids=["plain", "erfnet", "volume"])
def test_a_lean_module_gives_the_same_but_for_rounding_and_leaves_the_module_as_it_was(
    tmp_path: Path, data: dict[str, Any]
) -> None:
    module = load(by_chance(tmp_path / "model", data)).build()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    voxels = torch.rand(1, 1, *data["tiling"]["window"])
    with torch.inference_mode():
        wanted, found = module(voxels), lean(module)(voxels)
    for name, maps in wanted.items():
        assert float((maps - found[name]).abs().max()) < 1e-4 * float(maps.abs().max().clamp(min=1))
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    kinds = [type(part).__name__ for part in lean(module).modules()]
    if data is PLAIN:
        assert "BatchNorm2d" not in kinds


def test_a_relu_changes_in_place_only_what_nobody_else_reads() -> None:
    class Twice(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.row = torch.nn.Sequential(torch.nn.ReLU(), torch.nn.Conv2d(1, 1, 1), torch.nn.ReLU())

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.row(x) + x

    module, voxels = Twice(), torch.randn(1, 1, 4, 4)
    before = voxels.clone()
    with torch.inference_mode():
        assert torch.equal(module(voxels), lean(module)(voxels))
    assert torch.equal(voxels, before)
    assert [part.inplace for part in lean(module).row if isinstance(part, torch.nn.ReLU)] == [False, True]


def test_engines_agree_on_heads(model: ModelPackage) -> None:
    image = Image.from_array(bright((60, 50)))
    scale = normalise.fit(image, Normalise())
    said = [Predictor(model, Backend(), Engine(kind))(image, scale, Box.whole(image.shape)) for kind in
            ("torch", "onnxruntime")]  # fmt: skip
    for name, head in said[0].heads.items():
        assert said[1][name].dtype == np.float32
        np.testing.assert_allclose(said[1][name], head, atol=1e-4 * max(1.0, float(np.abs(head).max())))


def test_sixteen_bits_give_nearly_the_same(model: ModelPackage) -> None:
    image = Image.from_array(bright((60, 50)))
    scale = normalise.fit(image, Normalise())
    exact, half = (
        Predictor(model, Backend(), Engine("torch", kind))(image, scale, Box.whole(image.shape))["seediness"]
        for kind in ("float32", "bfloat16")
    )
    assert half.dtype == np.float32
    assert 0 < np.abs(half - exact).max() < 0.1


def test_the_heads_of_sixteen_bits_are_not_rounded_themselves(model: ModelPackage) -> None:
    engine = engines.built(Engine("torch", "bfloat16"), model, Backend())
    window = bright((32, 32)).astype(np.float32)[None, None] / 255
    raw = torch.cat([one.to(torch.float32) for one in engine._once(torch.from_numpy(window).bfloat16()).values()], 1)
    assert {p.dtype for n, p in engine._module.named_parameters() if n.startswith("out.")} == {torch.float32}
    assert {p.dtype for n, p in engine._module.named_parameters() if n.startswith("down.")} == {torch.bfloat16}
    assert (raw.bfloat16().float() != raw).float().mean() > 0.1  # none, where they were rounded


def test_heads_that_are_evaluated_where_somebody_asks_are_not_rounded_either() -> None:
    engine = engines.built(Engine("torch", "bfloat16"), resolve.load("ppp", Catalogue(), "ppp"), Backend())
    with torch.inference_mode():
        said = engine._once(torch.from_numpy(bright((256, 256)).astype(np.float32)[None, None] / 255).bfloat16())
    rows = said["patches"].at(torch.arange(0, 65536, 97))
    assert {p.dtype for n, p in engine._module.named_parameters() if n.startswith("heads.")} == {torch.float32}
    assert {p.dtype for n, p in engine._module.named_parameters() if n.startswith("features.")} == {torch.bfloat16}
    for raw in (rows, said["foreground"]):
        assert raw.dtype == torch.float32
        assert (raw.bfloat16().float() != raw).float().mean() > 0.9


@given(arrays(np.float32, st.tuples(st.integers(1, 3), st.integers(1, 90)), elements=st.floats(-200, 200, width=32)),
       st.sampled_from(["sigmoid", "softmax", "tanh", "none"]), st.data())  # fmt: skip
def test_a_voxel_of_a_graph_is_activated_alike_whatever_stands_beside_it(
    raw: np.ndarray, activation: Any, data: st.DataObject
) -> None:
    head = Head("a", len(raw), activation)
    whole = activated(raw, head)
    start = data.draw(st.integers(0, raw.shape[1] - 1))
    assert np.array_equal(activated(raw[:, start:], head), whole[:, start:])
    if activation in ("sigmoid", "softmax"):
        assert (whole >= 0).all()
        assert (whole <= 1).all()


def test_parts_of_what_a_graph_says_are_those_of_the_whole() -> None:
    maps = np.random.default_rng(0).normal(size=(1, 2, 9, 8)).astype(np.float32)
    (said,) = GraphEngine(lambda given: [maps], [Head("a", 2, "sigmoid")])(np.zeros((1, 1, 9, 8), np.float32))
    whole = said["a"].everywhere()
    part = said["a"].crop((slice(2, 9), slice(1, 7))).crop((slice(1, 5), slice(0, 4)))
    mask = np.zeros((4, 4), bool)
    mask[1, 2] = mask[3, 0] = True
    assert np.array_equal(part.everywhere(), whole[:, 3:7, 1:5])
    assert np.array_equal(part.at(mask), whole[:, 3:7, 1:5][:, mask].T)


def test_a_session_of_the_graph_finds_the_objects_of_torch(model: ModelPackage) -> None:
    image = Image.from_array(bright((60, 50)))
    found = []
    for engine in ("torch", "onnxruntime"):
        session = Session(model, "cpu", engine=engine)
        found.append(session.objects(session.pieces(session.prepare(image)), model.recipe.postprocess))
    assert found[0].digest == found[1].digest


def test_a_graph_that_differs_from_its_own_test_output_is_refused(model: ModelPackage, tmp_path: Path) -> None:
    import io

    from toolkit.registry.bioimageio.description import Axis, Description, File, Tensor

    def tensor(name: str) -> Tensor:
        return Tensor(name, (Axis("b", "batch"),), (), "float32", (), File(name))

    class Held:
        where = "here"

        def __init__(self, given: dict[str, np.ndarray]) -> None:
            self.given = given

        def read(self, name: str, sha256: str | None = None) -> bytes:
            stream = io.BytesIO()
            np.save(stream, self.given[name])
            return stream.getvalue()

    voxels = bright((32, 32))[None]
    scale = normalise.fit(Image.from_array(voxels[0]), model.recipe.normalise)
    graph = graph_of(model)
    said = graph([scale(voxels)[None]])
    wanted = {"offsets": said[0], "bandwidth": said[1], "seediness": 1 / (1 + np.exp(-said[2]))}
    about = Description("a", "1", "", "", "0.5", (tensor("input"),), tuple(map(tensor, wanted)), {}, {})
    files: Any = Held({"input": voxels[None].astype(np.float32), **wanted})
    proved(graph, about, files, str(voxels.dtype), model.recipe)
    files.given["seediness"] = wanted["seediness"] + 1e-3
    with pytest.raises(ModelError, match="something else than its own test output: here: seediness"):
        proved(graph, about, files, str(voxels.dtype), model.recipe)
