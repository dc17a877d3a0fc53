"""What is given to others: the distributions hold what they need, and no weights that may not be shipped."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from toolkit.registry.package import file_digest

ROOT = Path(__file__).resolve().parents[2]
PROJECTS = [ROOT, *sorted(p.parent for p in (ROOT / "plugins").glob("*/pyproject.toml"))]


def unpack(file: Path, folder: Path) -> list[Path]:
    """The files in a distribution."""
    if file.suffix == ".whl":
        with zipfile.ZipFile(file) as archive:
            archive.extractall(folder)
    else:
        with tarfile.open(file) as archive:
            archive.extractall(folder, filter="data")
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.slow
@pytest.mark.parametrize("project", PROJECTS, ids=lambda p: p.name)
def test_distributions_hold_no_weights_that_are_for_evaluation_only(project: Path, tmp_path: Path) -> None:
    built = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", str(tmp_path)], cwd=project, capture_output=True, text=True
    )
    assert built.returncode == 0, built.stderr
    files = sorted(tmp_path.iterdir())
    assert [f.suffix for f in files] == [".whl", ".gz"] or [f.suffix for f in files] == [".gz", ".whl"]
    kept_back = {file_digest(f) for f in (ROOT / "evaluation").rglob("*.safetensors")}
    for file in files:
        for path in unpack(file, tmp_path / file.suffix):
            if path.suffix in (".safetensors", ".onnx", ".pt"):
                assert file_digest(path) not in kept_back, f"{path.name} is for evaluation only"
                card = path.with_suffix(".md").read_text(encoding="utf8")
                assert "trained on CC0 data" in card, f"{path.name}: its card does not say that it may be shipped"


def test_each_shipped_model_has_recipe_and_card() -> None:
    shipped = sorted((ROOT / "plugins").glob("*/toolkit_*/recipes/*.safetensors"))
    assert shipped
    for weights in shipped:
        assert weights.with_suffix(".yaml").is_file()
        assert weights.stat().st_size < 8e6, f"{weights.name} is too large to live in a repository"
        card = weights.with_suffix(".md").read_text(encoding="utf8")
        assert "licence: weights BSD-3-Clause, trained on CC0 data" in card
