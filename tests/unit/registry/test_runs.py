"""Folders of training runs as models: what they recorded of themselves counts, wherever they are."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile

from tests import packages
from tests.models import see_through
from toolkit.cli import main
from toolkit.cli.wish import First, Wish, chosen
from toolkit.errors import ModelError, UsageError
from toolkit.io import Found
from toolkit.plugins.catalogue import Catalogue
from toolkit.registry import package, resolve, verify
from toolkit.registry.install import Wanted, install
from toolkit.registry.package import TRAINING
from toolkit.registry.store import Store
from toolkit.values.instances import Instances


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEG_HOME", str(tmp_path / "home"))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = see_through(tmp_path / "run")
    (folder / TRAINING).write_text(json.dumps({"owner": "builtin", "data": "data", "start": None}))
    return folder


def test_an_installed_run_keeps_what_the_training_said_of_itself(run: Path) -> None:
    store = Store()
    entry = install(str(run), Wanted(name="mine"), store)
    assert package.trained(store.folder(entry)) == json.loads((run / TRAINING).read_text())
    assert resolve.of_entry(store, entry, Catalogue(), "ppp").owner == "builtin"


def test_a_run_is_called_as_its_folder_or_as_it_was_installed_and_not_as_what_it_began_with(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store()
    install(str(run), Wanted(name="better", version="3"), store)
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((40, 40), np.uint8))
    monkeypatch.chdir(run)
    for model, said in (("better", "model  better 3  sha256"), (".", "model  run 1.0  sha256")):
        line = ["run", str(tmp_path / "a.tif"), "--model", model, "--dry-run", "-o", str(tmp_path / "out")]
        assert main(line) == 0
        assert said in capsys.readouterr().err
    assert resolve.load(str(run), Catalogue()).recipe.name == "see-through"


def test_the_owner_that_a_run_recorded_goes_before_the_plugin_that_is_named(run: Path) -> None:
    assert resolve.load(str(run), Catalogue(), "cpv").owner == "builtin"
    (run / TRAINING).write_text(json.dumps({"owner": None}))
    assert resolve.load(str(run), Catalogue(), "cpv").owner == "cpv"
    (run / TRAINING).unlink()
    assert resolve.load(str(run), Catalogue(), "cpv").owner == "cpv"


@pytest.mark.parametrize(
    ("record", "cure"),
    [
        ({"owner": "deep", "distributions": {"deep": "seg-toolkit-deep"}}, "pip install seg-toolkit-deep"),
        ({"owner": "builtin", "distributions": {"deep": "seg-toolkit-deep"}}, "pip install seg-toolkit-deep"),
        ({"owner": "deep"}, "ask the model's author for it"),
        ({"owner": "deep", "distributions": {"deep": "-r evil"}}, "ask the model's author for it"),
        ({"owner": "deep", "distributions": ["deep"]}, "ask the model's author for it"),
    ],
)
def test_a_run_whose_plugin_is_missing_names_the_package_that_has_it(
    run: Path, record: dict[str, object], cure: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (run / TRAINING).write_text(json.dumps(record))
    with pytest.raises(ModelError, match=f"a plugin that is not installed: {run}: deep; {cure}"):
        resolve.load(str(run), Catalogue())
    store = Store()
    install(str(run), Wanted(name="mine", version="2"), store)
    with pytest.raises(ModelError, match=r"a plugin that is not installed: mine.*2: deep"):
        resolve.load("mine", Catalogue())
    assert main(["models", "show", "mine"]) == 0
    assert ("needs      seg-toolkit-deep" in capsys.readouterr().out) == cure.startswith("pip")


def test_a_package_says_who_made_it_and_what_it_needs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def change(plain: dict[str, object]) -> None:
        own = {"plugins": {"deep": "0.2"}, "distributions": {"deep": "seg-toolkit-deep"}}
        plain["config"] = {"toolkit": own}
        plain["authors"] = [{"name": "A. Author"}, {"name": "B. Author"}, {}, "nobody"]
        plain["cite"] = [{"text": "a paper", "doi": "10.1234/5"}, {"text": "a book"}]

    path = packages.zipped(tmp_path / "model.zip", packages.altered(packages.good(), change))
    assert main(["models", "show", str(path), "--json"]) == 0
    about = json.loads(capsys.readouterr().out)
    assert about["authors"] == ["A. Author", "B. Author"]
    assert about["cite"] == ["10.1234/5", "a book"]
    assert about["needs"] == ["seg-toolkit-deep 0.2"]


def test_a_plugin_that_is_left_out_is_not_one_to_install(run: Path) -> None:
    (run / TRAINING).write_text(json.dumps({"owner": "cpv", "distributions": {"cpv": "seg-toolkit-cpv"}}))
    with pytest.raises(UsageError, match="this plugin is left out: cpv"):
        resolve.load(str(run), Catalogue(block=["cpv"]))


def test_another_plugin_brings_its_post_processor_to_the_network_of_a_run(run: Path, tmp_path: Path) -> None:
    wish = Wish(inputs=(), plugin="builtin", model=str(run))
    first = First(wish, Found(tmp_path / "a.tif", "a"))
    tifffile.imwrite(first.found.path, np.zeros((8, 8), np.uint8))
    same, _ = chosen(wish, Catalogue(), first)
    assert same.recipe.postprocess.kind == "threshold"
    with pytest.raises(UsageError, match="three_label"):
        chosen(Wish(inputs=(), plugin="cpv", model=str(run)), Catalogue(), first)


DAMAGED = {"cut": b'{"owner": "bui', "no text": b"\xff\xfe\x00", "deep": b"[" * 10**5, "large": b" " * (2**20 + 1)}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_record_of_a_training_is_a_sentence(
    run: Path, content: bytes, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (run / TRAINING).write_bytes(content)
    with pytest.raises(ModelError, match="the record of this training is damaged"):
        resolve.load(str(run), Catalogue())
    for line in (["export", str(run), "-o", str(tmp_path / "out.zip")], ["run", "no.tif", "--model", str(run)]):
        assert main(line) in (4, 5)
        said = capsys.readouterr().err
        assert said.startswith("error: ")
        assert "Traceback" not in said
    assert not (tmp_path / "out.zip").exists()


@pytest.mark.parametrize("content", [b"[]", b"{}", b'{"data": null}', b'{"owner": ["x"]}'])
def test_a_record_that_says_too_little_is_no_reason_to_fail_before_an_image_is_needed(
    run: Path, content: bytes, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (run / TRAINING).write_bytes(content)
    assert resolve.load(str(run), Catalogue(), "builtin").owner == "builtin"
    assert main(["export", str(run), "-o", str(tmp_path / "out.zip"), "--author", "A. Author"]) == 2
    assert "there is no image to show the model on" in capsys.readouterr().err


def test_a_run_whose_images_are_elsewhere_asks_for_one(
    run: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (run / TRAINING).write_bytes(b'{"owner": "builtin", "data": "gone"}')
    assert main(["export", str(run), "-o", str(tmp_path / "out.zip"), "--author", "A. Author"]) == 5
    said = "the images of the training are not here: gone; name an image with --image, or export where the training ran"
    assert said in capsys.readouterr().err


def test_a_recipe_and_weights_beside_a_description_are_not_the_model(run: Path, tmp_path: Path) -> None:
    """What is tested, installed and run of a package is what its description says."""
    files = packages.good() | {
        name: (run / name).read_bytes() for name in ("recipe.yaml", "best.safetensors", TRAINING)
    }
    folder = tmp_path / "package"
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    described = resolve.load(str(packages.zipped(tmp_path / "plain.zip", packages.good())), Catalogue())
    store = Store()
    for source in (folder, packages.zipped(tmp_path / "m.zip", files)):
        name = source.name.replace(".", "-")
        entry = install(str(source), Wanted(name=name), store)
        assert sorted(p.name for p in store.folder(entry).iterdir()) == sorted(files)
        assert [result.passed for result in verify.verify(name, Catalogue(), segment)] == [True]
        for model in (resolve.load(str(source), Catalogue()), resolve.load(name, Catalogue())):
            assert (model.recipe, model.sha256) == (described.recipe, entry.sha256)


def segment(*_: object, **__: object) -> Instances:
    raise AssertionError("a package of others brings no instances")
