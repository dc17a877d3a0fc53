from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile

from toolkit.cli import main

SMALL = ["network.maps=[8, 16]", "tiling.window=[64, 64]", "tiling.overlap=16", "training.crop=[64, 64]"]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEG_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


def data(folder: Path) -> None:
    """Bright squares on a dim ground."""
    rng = np.random.default_rng(0)
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    for name in "abc":
        mask = np.zeros((96, 96), np.uint8)
        for i, (y, x) in enumerate((16 + 24 * a, 16 + 24 * b) for a in range(3) for b in range(3)):
            mask[y : y + 12, x : x + 12] = i + 1
        image = rng.poisson(10 + 90 * (mask > 0)).astype(np.uint8)
        tifffile.imwrite(folder / "images" / f"{name}.tif", image)
        tifffile.imwrite(folder / "masks" / f"{name}.tif", mask)
    (folder / "splits.json").write_text(json.dumps({"train": ["a", "b"], "val": ["c"], "test": ["c"]}))
    (folder / "meta.json").write_text(json.dumps({"axes": "YX", "masks": "YX", "licence": "CC0-1.0"}))


# The format's own library leaves the files that it packs open until they are collected.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.slow
def test_a_trained_model_gives_the_same_objects_after_its_export(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data(tmp_path / "data")
    changes = [part for change in SMALL for part in ("--set", change.replace(" ", ""))]
    train = ["train", "--recipe", "unet", "--data", "data", "-o", "run", "--steps", "60", "--device", "cpu", *changes]
    assert main([*train, "--threads", "1"]) == 0
    capsys.readouterr()
    export = [
        "export",
        "run",
        "-o",
        "squares.zip",
        "--name",
        "Squares",
        "--author",
        "A. Author",
        "--licence",
        "CC0-1.0",
    ]
    assert main([*export, "--cite", "10.1007/978-3-030-12029-0_4", "--json"]) == 0
    assert "instances" in json.loads(capsys.readouterr().out)["verified"]
    found = {}
    for model in ("run", "squares.zip"):
        out = f"{model}.out"
        assert main(["run", "data/images/c.tif", "--model", model, "-o", out, "--device", "cpu", "--no-preview"]) == 0
        found[model] = tifffile.imread(tmp_path / out / "c.labels.tif")
    assert np.array_equal(found["run"], found["squares.zip"])
    assert len(np.unique(found["run"])) == 10
    capsys.readouterr()
    assert main([*export]) == 2
    assert "--overwrite" in capsys.readouterr().err
