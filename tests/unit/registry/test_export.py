from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests import packages
from toolkit.cli import main
from toolkit.errors import ModelError, UsageError
from toolkit.pipeline import segment as pipeline
from toolkit.plugins.catalogue import Catalogue
from toolkit.plugins.recipe import Recipe
from toolkit.registry import package, resolve
from toolkit.registry.bioimageio.beside import README, About, card
from toolkit.registry.bioimageio.example import Example, of_data, of_image
from toolkit.registry.bioimageio.read import Opened
from toolkit.registry.export import export
from toolkit.registry.needs import needed
from toolkit.registry.verify import Result, verify
from toolkit.testing import scenes
from toolkit.values.image import Image

# The format's own library leaves the files that it packs open until they are collected.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")
SMALL = ["network.maps=[4, 8]", "network.units=0"]
CHANGES = [
    "network.maps=[4, 8]",
    "network.units=0",
    "tiling.window=[64, 64]",
    "tiling.overlap=16",
    "training.crop=[64, 64]",
]
VOLUME = [*SMALL, "tiling.window=[16, 32, 32]", "tiling.overlap=8", "training.crop=[16, 32, 32]"]
ENGINE = {"kind": "torch", "precision": "float32"}
ABOUT = About("Blobs", "finds blobs", ("A. Author",), "CC0-1.0", ("10.1007/978-3-030-12029-0_4",))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEG_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def plugins() -> Catalogue:
    return Catalogue(allow=())


def trained(folder: Path, plugins: Catalogue, changes: list[str], seed: int = 3) -> package.ModelPackage:
    """A run whose network, drawn from a seed, finds something."""
    folder.mkdir()
    recipe = Recipe.load(plugins.find("recipes", "unet"), plugins, "builtin", changes)
    (folder / "recipe.yaml").write_text(recipe.dump())
    torch.manual_seed(seed)
    package.save(recipe.network.build(1, recipe.heads, recipe.ndim), folder / "best.safetensors")
    return resolve.load(str(folder), plugins, "builtin")


def blobs(shape: tuple[int, ...]) -> Example:
    rng = np.random.default_rng(0)
    voxels = rng.poisson(20, shape).astype(np.uint16)
    for corner in rng.integers(0, np.array(shape) - 8, (6, len(shape))):
        voxels[tuple(slice(c, c + 7) for c in corner)] += 200
    return Example(voxels[None], (0.5,) * len(shape), "blobs")


def checked(plugins: Catalogue) -> Any:
    return lambda path: verify(str(path), plugins, pipeline.segment)


@pytest.mark.slow
@pytest.mark.parametrize("changes", [CHANGES, pytest.param(VOLUME, marks=pytest.mark.slow)], ids=["2d", "3d"])
def test_an_exported_package_gives_the_same_instances_again(
    tmp_path: Path, plugins: Catalogue, changes: list[str]
) -> None:
    model = trained(tmp_path / "run", plugins, changes, 21 if changes is VOLUME else 3)
    example, out = blobs(model.recipe.tiling.window), tmp_path / "blobs.zip"
    found = export(model, ABOUT, example, out, plugins, pipeline.segment, ENGINE, checked(plugins))
    assert [r.passed for r in found] == [True] * len(found)
    assert {r.what for r in found} >= {"instances", "output foreground (state dict)", "output boundary (onnx)"}
    again = resolve.load(str(out), plugins)
    assert again.recipe == model.recipe
    assert pipeline.segment(example.image, again, device="cpu") == pipeline.segment(example.image, model, device="cpu")
    files = Opened.at(out).files
    readme, names = files.read("README.md").decode(), set(files.sizes)
    window, overlap = (" × ".join(map(str, n)) for n in (model.recipe.tiling.window, model.recipe.tiling.overlaps))
    assert f"windows of at most {window} voxels, which\noverlap by {overlap};" in readme
    assert {
        "weights.pt",
        "weights.onnx",
        "cover.png",
        "README.md",
        "test_instances.npy",
    } <= names


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"licence": "CC-BY-4"}, "--licence CC-BY-4; did you mean 'CC-BY-4.0'?"),
        ({"licence": "mit"}, "--licence mit; did you mean 'MIT'?"),
        ({"licence": "all mine, and mine alone"}, "all mine, and mine alone; choose an SPDX name, such as CC-BY-4.0"),
        ({"authors": ("A", "B/C")}, "--author B/C; a name has letters and no /"),
        ({"cite": ("nodoi",)}, "--cite nodoi; give a DOI, as 10.NUMBER/NAME"),
        ({"version": "abc"}, "--version abc; numbers with points between them"),
    ],
)
def test_what_the_format_does_not_allow_is_named_by_its_option(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=re.escape(said)) as caught:
        replace(ABOUT, **wrong).checked()
    assert len(str(caught.value)) < 200


def test_what_cannot_be_exported_is_said_before_anything_is_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = tmp_path / "plain.yaml"
    recipe.write_text("schema: toolkit.recipe/1\nname: plain\nnetwork: {kind: image}\npostprocess: {kind: threshold}\n")
    for out, said in (("a.tar", "a package is a zip: a.tar; say -o a.zip"), ("a.zip", "has no weights to pack")):
        assert main(["export", str(recipe), "-o", out]) == 2
        assert said in " ".join(capsys.readouterr().err.split())


@pytest.mark.slow
def test_nothing_is_written_that_does_not_give_the_same_again(tmp_path: Path, plugins: Catalogue) -> None:
    model = trained(tmp_path / "run", plugins, CHANGES)
    out = tmp_path / "blobs.zip"
    with pytest.raises(ModelError, match="instances"):
        export(
            model,
            ABOUT,
            blobs((64, 64)),
            out,
            plugins,
            pipeline.segment,
            ENGINE,
            lambda _: [Result("instances", "1, not 2", False)],
        )
    with pytest.raises(UsageError, match="not what the format allows"):
        export(
            model,
            replace(ABOUT, licence="no such licence"),
            blobs((64, 64)),
            out,
            plugins,
            pipeline.segment,
            ENGINE,
            checked(plugins),
        )
    assert not out.exists()


@pytest.mark.slow
def test_a_model_that_finds_nothing_is_exported_only_if_that_is_forced(tmp_path: Path, plugins: Catalogue) -> None:
    model, out = trained(tmp_path / "run", plugins, [*CHANGES, "postprocess.min_size=5000"]), tmp_path / "blobs.zip"
    with pytest.raises(UsageError, match=r"finds nothing in the image that it is shown on: blobs; .*--force"):
        export(model, ABOUT, blobs((64, 64)), out, plugins, pipeline.segment, ENGINE, checked(plugins))
    assert not out.exists()
    with pytest.raises(ModelError, match="nothing was written"):
        export(model, ABOUT, blobs((64, 64)), out, plugins, pipeline.segment, ENGINE, lambda _: [], force=True)


@pytest.mark.slow
def test_a_model_that_scored_0_is_exported_only_if_that_is_forced(tmp_path: Path, plugins: Catalogue) -> None:
    model = trained(tmp_path / "run", plugins, CHANGES)
    for value, why in ((0.0, "none of the objects of its validation images: S@0.50 0 on 3 images"), (0.1, "unlike")):
        closing = {"metric": "S@0.50", "value": value, "images": 3}
        (tmp_path / "run" / "training.json").write_text(json.dumps({"closing": closing}))
        with pytest.raises(UsageError if value == 0 else ModelError, match=why):
            export(model, ABOUT, blobs((64, 64)), tmp_path / "blobs.zip", plugins, pipeline.segment, ENGINE,
                   lambda _: [Result("instances", "unlike", False)])  # fmt: skip


@pytest.mark.slow
def test_other_tools_of_the_format_run_an_exported_package(tmp_path: Path, plugins: Catalogue) -> None:
    model = trained(tmp_path / "run", plugins, CHANGES)
    out = tmp_path / "blobs.zip"
    export(model, ABOUT, blobs((64, 64)), out, plugins, pipeline.segment, ENGINE, checked(plugins))
    script = """
import sys
from bioimageio.core import test_model
from bioimageio.spec import load_description
print(type(load_description(sys.argv[1])).__name__)
for kind in ("pytorch_state_dict", "onnx"):
    print(kind, test_model(sys.argv[1], weight_format=kind).status)
"""
    settings = {
        "BIOIMAGEIO_PERFORM_IO_CHECKS": "0",
        "BIOIMAGEIO_RESOLVE_DRAFT": "false",
        "BIOIMAGEIO_CACHE_PATH": str(tmp_path),
    }
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", script, str(out)], env={**os.environ, **settings},
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert done.stdout.split("\n")[:3] == ["ModelDescr", "pytorch_state_dict passed", "onnx passed"], done.stderr[
        -2000:
    ]


WITHOUT_US = """
import sys
from pathlib import Path
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0].startswith("toolkit"):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
import numpy as np
from bioimageio.core import create_prediction_pipeline, load_model_description
from bioimageio.core.digest_spec import get_test_input_sample, get_test_output_sample
model = load_model_description(sys.argv[1], perform_io_checks=False)
wanted = get_test_output_sample(model)
with create_prediction_pipeline(model, weight_format="pytorch_state_dict") as pipeline:
    # The window as it is: by default it is enlarged by the halo.
    found = pipeline.predict_sample_without_blocking(
        get_test_input_sample(model), skip_input_padding=True, skip_output_cropping=True
    )
print(max(float(abs(wanted.members[n].data.values - found.members[n].data.values).max()) for n in wanted.members))
print(sorted(name for name in sys.modules if name.startswith("toolkit")))
"""


def test_the_readme_of_a_package_shows_the_call_that_gives_the_same_heads() -> None:
    said = re.search(r"predict_sample_without_blocking\((.*)\)", README)
    assert said is not None
    assert said[1].partition(", ")[2] in WITHOUT_US


def without_us(out: Path, home: Path) -> float:
    """The largest difference of heads, from those in a package, where this toolkit cannot be imported."""
    settings = {"BIOIMAGEIO_RESOLVE_DRAFT": "false", "BIOIMAGEIO_CACHE_PATH": str(home), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", WITHOUT_US, str(out)],
                          env={**os.environ, **settings}, capture_output=True, text=True, check=False)  # fmt: skip
    lines = done.stdout.split("\n")
    assert lines[1:2] == ["[]"], done.stderr[-2000:]
    return float(lines[0])


@pytest.mark.slow
@pytest.mark.parametrize("network", ["unet", "plain_unet"])
def test_other_tools_run_the_state_dict_without_this_toolkit(tmp_path: Path, plugins: Catalogue, network: str) -> None:
    plain = ["network={kind: plain_unet, maps: 4, levels: 3}", *CHANGES[2:]]
    model = trained(tmp_path / "run", plugins, CHANGES if network == "unet" else plain, 3)
    out = tmp_path / "blobs.zip"
    export(model, ABOUT, blobs((64, 64)), out, plugins, pipeline.segment, ENGINE, checked(plugins), force=True)
    assert without_us(out, tmp_path) < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("name", ["embedseg", "cpv", "ppp"])
def test_other_tools_run_shipped_models_without_this_toolkit(tmp_path: Path, name: str) -> None:
    everything = Catalogue()
    model = resolve.load(name, everything)
    image = scenes.blobs((256, 256), count=20, radius=(8.0, 13.0)).image
    example, out = Example(image.read(), (1.0, 1.0), "nuclei"), tmp_path / "model.zip"
    export(model, ABOUT, example, out, everything, pipeline.segment, ENGINE, checked(everything))
    assert without_us(out, tmp_path) < 1e-4


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda own: own["plugins"].update(nowhere="1.0"), "is not installed: .*nowhere; ask the model's author"),
        (
            lambda own: own.update(plugins={"nowhere": "1"}, distributions={"nowhere": "some-where"}),
            "pip install some-where",
        ),
        (
            lambda own: own.update(plugins={"nowhere": "1"}, distributions={"nowhere": "--pre evil"}),
            "ask the model's author",
        ),
        (lambda own: own["recipe"]["postprocess"].update(kind="nothing"), "recipe in the package is not valid"),
        (lambda own: own["recipe"]["network"].update(maps=[4, 9]), "do not fit"),
        (lambda own: own.update(schema="toolkit.package/9"), "another version of the toolkit"),
        (lambda own: own["weights"].update(sha256="0" * 64), "not what its sha256 says"),
        (lambda own: own.pop("recipe"), "damaged"),
    ],
)
def test_a_package_of_ours_that_was_bent_is_a_sentence(
    tmp_path: Path, plugins: Catalogue, change: Any, said: str
) -> None:
    model = trained(tmp_path / "run", plugins, CHANGES)
    out = tmp_path / "blobs.zip"
    files = packages.good()
    files["weights.safetensors"] = (tmp_path / "run" / "best.safetensors").read_bytes()
    own = {
        "schema": "toolkit.package/1",
        "owner": "builtin",
        "recipe": model.recipe.plain(),
        "plugins": {p.name: p.version for p in needed(model.recipe, plugins)},
        "weights": {"source": "weights.safetensors", "sha256": packages.sha256(files["weights.safetensors"])},
    }
    packages.zipped(out, packages.altered(files, lambda p: p.update(config={"toolkit": own})))
    resolve.load(str(out), plugins).build()
    change(own)
    packages.zipped(out, packages.altered(files, lambda p: p.update(config={"toolkit": own})))
    with pytest.raises(ModelError, match=said):
        resolve.load(str(out), plugins).build()


def test_a_model_of_somebody_else_is_not_exported_again(tmp_path: Path, plugins: Catalogue) -> None:
    model = resolve.load(str(packages.zipped(tmp_path / "m.zip", packages.good())), plugins)
    with pytest.raises(UsageError, match="package of somebody else"):
        export(
            model, ABOUT, blobs((256, 256)), tmp_path / "out.zip", plugins, pipeline.segment, ENGINE, checked(plugins)
        )


def test_an_example_is_one_window_of_what_the_network_sees(tmp_path: Path, plugins: Catalogue) -> None:
    import tifffile

    recipe = Recipe.load(plugins.find("recipes", "unet"), plugins, "builtin", CHANGES)
    rng = np.random.default_rng(0)
    for part in ("images", "masks"):
        (tmp_path / "data" / part).mkdir(parents=True)
    masks = np.zeros((150, 130), np.uint8)
    masks[100:110, 90:100], masks[120:130, 110:120] = 1, 2
    image = (masks > 0) * 100 + rng.integers(0, 9, masks.shape)
    tifffile.imwrite(tmp_path / "data" / "images" / "a.tif", image.astype(np.uint8))
    tifffile.imwrite(tmp_path / "data" / "masks" / "a.tif", masks)
    (tmp_path / "data" / "splits.json").write_text(json.dumps({"train": [], "val": ["a"], "test": []}))
    (tmp_path / "data" / "meta.json").write_text(json.dumps({"axes": "YX", "masks": "YX"}))
    best = of_data(str(tmp_path / "data:val"), recipe)
    assert best.voxels.shape == (1, 64, 64)
    assert best.voxels.max() >= 100
    middle = of_image(tmp_path / "data" / "images" / "a.tif", recipe)
    assert np.array_equal(middle.voxels[0], image.astype(np.uint8)[43:107, 33:97])
    assert isinstance(middle.image, Image)


def test_the_card_of_a_training_is_that_of_its_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = trained(tmp_path / "run", Catalogue(allow=()), CHANGES)
    recipe = tmp_path / "unet.yaml"
    monkeypatch.setattr(Catalogue, "collect", lambda *_: {"builtin:unet": recipe})
    monkeypatch.setattr(Catalogue, "find", lambda *_: recipe)
    recipe.with_suffix(".md").write_text("---\nlicence: weights BSD-3-Clause\ntitle: round\ncite: [10.1/x]\n---\n")
    found = card(model, Catalogue())
    assert (found.spdx, found.title, found.cite) == ("BSD-3-Clause", "round", ("10.1/x",))
    recipe.with_suffix(".safetensors").touch()
    found = card(model, Catalogue())
    assert (found.spdx, found.title, found.cite) == ("BSD-3-Clause", "", ("10.1/x",))
    (tmp_path / "run" / "recipe.md").write_text("---\nlicence: MIT\n---\n")
    assert card(model, Catalogue()).spdx == "MIT"
    monkeypatch.setattr(Catalogue, "collect", lambda *_: {})
    (tmp_path / "run" / "recipe.md").unlink()
    assert card(model, Catalogue()).spdx is None


def test_the_plugins_that_a_recipe_uses_are_written_down(tmp_path: Path, plugins: Catalogue) -> None:
    from importlib.metadata import version

    found = needed(trained(tmp_path / "run", plugins, CHANGES).recipe, plugins)
    assert [(p.name, p.version) for p in found] == [("builtin", version("seg-toolkit"))]
