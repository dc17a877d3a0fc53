"""What authors of plugins do: make one, check, train and export it; and the examples, as strangers have them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import tifffile

from tests import samples
from tests.battery.forkserver import ForkServer
from toolkit.cli import main
from toolkit.testing.scaffold import Kind
from toolkit.testing.scenes import blobs

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted(path.parent for path in (ROOT / "examples").glob("*/pyproject.toml"))
SMALL = ["network.maps=[8,16]", "tiling.window=[64,64]", "tiling.overlap=16", "training.crop=[64,64]",
         "training.batch=2"]  # fmt: skip
ENOUGH = 0.8
"""Least S at IoU .5 of the example `depth` after 400 steps, on images that it has not seen."""
Run = Callable[..., str]


def built(project: Path, folder: Path) -> Path:
    """The wheel of a project."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return next(folder.glob("*.whl"))


def stranger(server: ForkServer, folder: Path, *wheels: Path) -> Run:
    """`seg` for somebody who has installed these wheels, and nothing else beside the toolkit."""
    site = folder / "site"
    site.mkdir(exist_ok=True)
    if wheels:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(site)]
        subprocess.run([*pip, *map(str, wheels)], check=True, cwd=folder, capture_output=True)
    places = os.pathsep.join(filter(None, sys.path))

    def run(*arguments: str, code: int = 0) -> str:
        done = server(*arguments, folder=folder, path=site, timeout=600, PYTHONPATH=places,
                      SEG_HOME=str(folder / "home"))  # fmt: skip
        assert done.code == code, done.out[-2000:] + done.err[-2000:]
        return done.out + done.err

    return run


def image(folder: Path) -> Path:
    path = folder / "cells.tif"
    tifffile.imwrite(path, blobs((96, 96), seed=5).image.read()[0])
    return path


@pytest.mark.parametrize("kind", get_args(Kind))
def test_a_new_plugin_is_a_small_distribution_with_all_that_belongs_to_it(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["plugins", "new", "my_method", "--kind", kind]) == 0
    said = capsys.readouterr()
    assert "pip install -e my_method && seg plugins check my_method" in said.err
    files = {str(p.relative_to(tmp_path / "my_method")) for p in (tmp_path / "my_method").rglob("*") if p.is_file()}
    assert len(said.out.split()) == len(files)
    assert {"pyproject.toml", "README.md", "LICENSE", ".github/workflows/check.yml", "tests/test_conformance.py",
            "toolkit_my_method/__init__.py"} <= files  # fmt: skip
    texts = {name: (tmp_path / "my_method" / name).read_text() for name in files}
    placeholders = ("plugin_name", "SUMMARY", "DEPENDENCIES", "HOMES")
    assert not any(word in text for text in texts.values() for word in placeholders)
    assert ("recipes/" in texts["README.md"]) == (kind != "metric")
    assert len(texts["toolkit_my_method/__init__.py"].splitlines()) < 60
    if kind != "metric":
        assert {"toolkit_my_method/recipes/my_method.yaml", "toolkit_my_method/recipes/my_method.md"} <= files
    (tmp_path / "dist").mkdir()
    with zipfile.ZipFile(built(tmp_path / "my_method", tmp_path / "dist")) as wheel:
        inside = set(wheel.namelist())
    assert {name for name in files if name.startswith("toolkit_my_method/")} <= inside


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("my-method", "this is no name of a plugin: my-method; use a-z, 0-9 and _, such as my_method"),
        ("2d", "this is no name of a plugin: 2d; use a-z, 0-9 and _, such as d"),
        ("class", "this is no name of a plugin: class; use a-z, 0-9 and _, such as my_class"),
        ("class_", "this is no name of a plugin: class_; use a-z, 0-9 and _, such as my_class"),
        ("sorted", "this is no name of a plugin: sorted; use a-z, 0-9 and _, such as my_sorted"),
        ("head", "this is no name of a plugin: head; use a-z, 0-9 and _, such as my_head"),
        ("seg_deep", "this is no name of a plugin: seg_deep; use a-z, 0-9 and _, such as deep"),
        ("builtin", "a plugin has this name: builtin (of seg-toolkit)"),
        ("there", "this exists: there"),
        ("../up", "a plugin has a name, not a path: ../up; say where with -o: seg plugins new up -o .."),
    ],
)
def test_a_name_that_cannot_be_is_refused_and_nothing_is_written(
    name: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").mkdir()
    assert main(["plugins", "new", name]) == 2
    assert said in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["there"]
    assert main(["plugins", "new", "fine", "--kind", "methods"]) == 2
    assert "no such kind of plugin: --kind methods; choose one of method" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("kind", get_args(Kind))
def test_a_new_plugin_is_green_at_once(kind: str, server: ForkServer, tmp_path: Path) -> None:
    stranger(server, tmp_path)("plugins", "new", "fresh", "--kind", kind)
    (tmp_path / "dist").mkdir()
    wheel = built(tmp_path / "fresh", tmp_path / "dist")
    assert "checks ok" in stranger(server, tmp_path)("plugins", "check", "--wheel", str(wheel))


@pytest.mark.slow
def test_an_author_comes_from_nothing_to_a_model_that_runs_elsewhere(server: ForkServer, tmp_path: Path) -> None:
    nobody = stranger(server, tmp_path)
    nobody("plugins", "new", "deep")
    module = tmp_path / "deep" / "toolkit_deep" / "__init__.py"
    module.write_text(module.read_text().replace("= 6.0", "= 5.0"))  # the author has an idea
    (tmp_path / "dist").mkdir()
    wheel = built(tmp_path / "deep", tmp_path / "dist")
    author = stranger(server, tmp_path, wheel)
    assert "checks ok" in author("plugins", "check", "deep")
    samples.nuclei(tmp_path / "data", train=4, val=2, shape=(80, 88))
    changes = [part for change in SMALL for part in ("--set", change)]
    author("train", "--plugin", "deep", "--data", "data", "-o", "run", "--steps", "60", "--device", "cpu", "--threads",
           "1", "--set", "training.learning_rate=0.005", *changes)  # fmt: skip
    cells = image(tmp_path)
    first = json.loads(_document(author("run", str(cells), "--model", "run", "-o", "one", "--json")))
    assert first["images"][0]["objects"] > 0
    author("export", "run", "-o", "deep.zip", "--author", "the author", "--licence", "CC0-1.0")
    (tmp_path / "elsewhere").mkdir()
    other = stranger(server, tmp_path / "elsewhere", wheel)
    other("run", str(cells), "--model", str(tmp_path / "deep.zip"), "-o", "two")
    one, two = (tifffile.imread(tmp_path / out / "cells.labels.tif") for out in ("one", "elsewhere/two"))
    assert np.array_equal(one, two)
    (tmp_path / "without").mkdir()
    said = stranger(server, tmp_path / "without")("run", str(cells), "--model", str(tmp_path / "deep.zip"), code=4)
    assert "the model needs a plugin that is not installed" in said
    assert "pip install seg-toolkit-deep" in said


def crowded(folder: Path) -> None:
    """Images of many objects, small and large, that touch; those of `test` are seen by no training and no tuning."""
    counts = {"train": (0, 8), "val": (100, 4), "test": (200, 6)}
    scenes = {
        split: {f"{split}{seed}": blobs((128, 128), 24, (4, 10), seed) for seed in range(first, first + count)}
        for split, (first, count) in counts.items()
    }
    samples.write(folder, scenes)


def trained(user: Run, name: str, *long: str) -> float:
    """S at IoU .5, on images that were held back, of the example `depth` after a training of its own recipe."""
    user("train", "--plugin", "depth", "--data", "data", "-o", name, *long, "--deduce", "--device", "cpu",
         "--threads", "1")  # fmt: skip
    user("run", "data:test", "--model", name, "-o", f"{name}.seg", "--no-preview")
    found = json.loads(_document(user("evaluate", f"{name}.seg", "data:test", "--metric", "S@.5", "--json")))
    score = found["summary"]["S@0.50"]["mean"]
    assert isinstance(score, float)
    return score


def _document(said: str) -> str:
    """The JSON document in what was said."""
    return said[said.index("{") : said.rindex("}") + 1]


@pytest.mark.slow
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_an_example_is_green_and_runs_from_its_wheel(example: Path, server: ForkServer, tmp_path: Path) -> None:
    name = example.name
    (tmp_path / "dist").mkdir()
    wheel = built(example, tmp_path / "dist")
    user = stranger(server, tmp_path, wheel)
    assert "checks ok" in user("plugins", "check", "--wheel", str(wheel))
    cells = image(tmp_path)
    if name == "stars":
        samples.nuclei(tmp_path / "data", train=4, val=2, shape=(80, 88))
        changes = [part for change in SMALL for part in ("--set", change)]
        user("train", "--plugin", name, "--data", "data", "-o", "run", "--steps", "40",
             "--device", "cpu", "--threads", "1", "--set", "training.learning_rate=0.005", *changes)  # fmt: skip
    if name == "depth":
        crowded(tmp_path / "data")
        assert trained(user, "first", "--steps", "40") < ENOUGH - 0.2
        assert trained(user, "run", "--steps", "400") >= ENOUGH
    model = ("--plugin", name) if name == "otsu" else ("--model", "run")
    user("run", str(cells), *model, "-o", "out", "--no-preview")
    if name == "otsu":
        assert tifffile.imread(tmp_path / "out" / "cells.labels.tif").max() == len(blobs((96, 96), seed=5).instances)
    if name == "depth":
        user("export", "run", "-o", "depth.zip", "--author", "the author", "--image", str(cells))
        user("run", str(cells), "--model", "depth.zip", "-o", "again", "--no-preview")
        one, two = (tifffile.imread(tmp_path / out / "cells.labels.tif") for out in ("out", "again"))
        assert one.max() > 0
        assert np.array_equal(one, two)
        (tmp_path / "without").mkdir()
        said = stranger(server, tmp_path / "without")("run", str(cells), "--model", str(tmp_path / "depth.zip"), code=4)
        assert "pip install seg-toolkit-depth" in said


def test_examples_are_short() -> None:
    lines = {p.name: len((p / f"toolkit_{p.name}" / "__init__.py").read_text().splitlines()) for p in EXAMPLES}
    assert set(lines) == {"otsu", "stars", "depth"}
    assert lines["otsu"] <= 40
    assert lines["stars"] <= 60
