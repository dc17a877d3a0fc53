"""What is given to others: the distributions hold what they need, and no weights that may not be shipped."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from toolkit.registry.package import file_digest

ROOT = Path(__file__).resolve().parents[2]
PROJECTS = [ROOT, *sorted(p.parent for p in (ROOT / "plugins").glob("*/pyproject.toml"))]
EACH = """
import json, sys
from toolkit.cli import main
for words in json.loads(sys.argv[1]):
    assert main(words) == 0, words
"""
"""Commands, in one process."""


def unpack(file: Path, folder: Path) -> list[Path]:
    """The files in a distribution."""
    if file.suffix == ".whl":
        with zipfile.ZipFile(file) as archive:
            archive.extractall(folder)
    else:
        with tarfile.open(file) as archive:
            archive.extractall(folder, filter="data")
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    """Wheel and source distribution of each project, by its folder."""
    found = {}
    for project in PROJECTS:
        folder = tmp_path_factory.mktemp(project.name)
        command = [sys.executable, "-m", "hatchling", "build", "-d", str(folder)]
        done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        found[project.name] = sorted(folder.iterdir(), key=lambda path: path.suffix != ".whl")
        assert [f.suffix for f in found[project.name]] == [".whl", ".gz"]
    return found


@pytest.mark.slow
@pytest.mark.parametrize("project", PROJECTS, ids=lambda p: p.name)
def test_distributions_hold_no_weights_that_are_for_evaluation_only(
    project: Path, built: dict[str, list[Path]], tmp_path: Path
) -> None:
    kept_back = {file_digest(f) for f in (ROOT / "evaluation").rglob("*.safetensors")}
    for file in built[project.name]:
        for path in unpack(file, tmp_path / file.suffix):
            if path.suffix in (".safetensors", ".onnx", ".pt"):
                assert file_digest(path) not in kept_back, f"{path.name} is for evaluation only"
                card = path.with_suffix(".md").read_text(encoding="utf8")
                assert "trained on CC0 data" in card, f"{path.name}: its card does not say that it may be shipped"


@pytest.mark.slow
@pytest.mark.parametrize("project", PROJECTS, ids=lambda p: p.name)
def test_distributions_hold_licence_and_readme(project: Path, built: dict[str, list[Path]], tmp_path: Path) -> None:
    licence = (ROOT / "LICENSE").read_text(encoding="utf8")
    readme = (project / "README.md").read_text(encoding="utf8")
    for file in built[project.name]:
        texts = {path.name: path.read_text(encoding="utf8") for path in unpack(file, tmp_path / file.suffix)
                 if path.name in ("LICENSE", "METADATA", "PKG-INFO")}  # fmt: skip
        assert texts["LICENSE"] == licence
        about = texts["METADATA" if file.suffix == ".whl" else "PKG-INFO"]
        assert "License-Expression: BSD-3-Clause" in about
        assert about.endswith(readme)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["folders", "wheels"])
def test_what_pip_installs_segments_an_image(how: str, built: dict[str, list[Path]], tmp_path: Path) -> None:
    what = PROJECTS if how == "folders" else [files[0] for files in built.values()]
    # As `pip install ./ ./plugins/*`, into a folder, with the packages that are here and no other.
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-build-isolation",
         "--target", str(tmp_path / "there"), *map(str, what)],
        check=True, cwd=tmp_path,
    )  # fmt: skip
    python = [sys.executable, "-P"]
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "there"), "SEG_HOME": str(tmp_path / "home")}

    def run(*arguments: str) -> str:
        done = subprocess.run([*python, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    modules = ["toolkit", *(f"toolkit_{p.name}" for p in PROJECTS[1:])]
    places = run("-c", f"import {', '.join(modules)}; print(*(m.__file__ for m in ({', '.join(modules)})), sep='\\n')")
    assert {Path(place).parents[1] for place in places.split()} == {tmp_path / "there"}
    image = min((ROOT / "tests" / "golden" / "dsb2018" / "images").iterdir(), key=lambda path: path.stat().st_size)
    shipping = {path.parents[2] for path in (ROOT / "plugins").glob("*/toolkit_*/recipes/*.safetensors")}
    assert {project.name for project in shipping} == {"cpv", "embedseg", "ppp"}
    runs = [["run", str(image), "--plugin", project.name, "-o", project.name, "--device", "cpu", "--workers", "1",
             "--no-preview"] for project in shipping]  # fmt: skip
    searches = [["models", "search", "--help"], ["models", "search", "nucleus"]]
    said = run("-c", EACH, json.dumps([*runs, *searches]))
    for project in shipping:
        record = json.loads((tmp_path / project.name / "run.json").read_text(encoding="utf8"))
        assert record["images"][0]["objects"] > 3
    assert "bioimage.io" in said
    assert "affable-shark" in said


def test_each_shipped_model_has_recipe_and_card() -> None:
    shipped = sorted((ROOT / "plugins").glob("*/toolkit_*/recipes/*.safetensors"))
    assert shipped
    for weights in shipped:
        assert weights.with_suffix(".yaml").is_file()
        assert weights.stat().st_size < 8e6, f"{weights.name} is too large to live in a repository"
        card = weights.with_suffix(".md").read_text(encoding="utf8")
        assert "licence: weights BSD-3-Clause, trained on CC0 data" in card
