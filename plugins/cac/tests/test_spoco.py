"""From a few annotated discs to all of them, by vectors; a package of the model gives the same."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile

from toolkit.testing import seg as main

SIDE, CELL, RADIUS = 96, 24, 7
SETS = ("network.maps=[8,12,16]", "training.crop=[48,48]", "tiling.window=[96,96]", "tiling.overlap=48",
        "training.batch=2", "training.augment=[flip]", "training.validations=1", "training.learning_rate=0.004",
        "training.average=0.95")  # fmt: skip


def discs(seed: int) -> np.ndarray:
    """Discs that lie apart, one in each cell of a grid."""
    rng, labels = np.random.default_rng(seed), np.zeros((SIDE, SIDE), np.int16)
    y, x = np.mgrid[:SIDE, :SIDE]
    for number, (row, column) in enumerate(np.ndindex(SIDE // CELL, SIDE // CELL), 1):
        cy, cx = (CELL * at + CELL // 2 + rng.integers(-3, 4) for at in (row, column))
        labels[(y - cy) ** 2 + (x - cx) ** 2 <= RADIUS**2] = number
    return labels


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Discs on noise, of which a quarter is annotated in the images that teach, and none in one of them."""
    folder = tmp_path_factory.mktemp("discs") / "data"
    splits = {"train": ["a", "b", "c", "d"], "val": ["e"], "test": ["f"]}
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
    for seed, name in enumerate(n for split in splits.values() for n in split):
        labels = discs(seed)
        noise = np.random.default_rng(100 + seed).normal(40, 8, labels.shape)
        tifffile.imwrite(folder / "images" / f"{name}.tif", (noise + 120 * (labels > 0)).clip(0, 255).astype(np.uint8))
        if name in splits["train"]:
            labels = np.where((labels % 4 == 1) & (name != "d"), labels, -1).astype(np.int16)
        tifffile.imwrite(folder / "masks" / f"{name}.tif", labels)
    (folder / "splits.json").write_text(json.dumps(splits))
    return folder


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run") / "run"
    sets = [word for change in SETS for word in ("--set", change)]
    arguments = ["--data", str(data), "-o", str(folder), "--threads", "1", "--steps", "200", "--device", "cpu"]
    assert main(["train", "--recipe", "cac:spoco", *arguments, *sets]) == 0
    return folder


def found(model: Path, data: Path, out: Path) -> np.ndarray:
    command = ["run", f"{data}:test", "--model", str(model), "-o", str(out), "--workers", "1", "--no-preview"]
    assert main(command) == 0
    return np.asarray(tifffile.imread(out / "f.labels.tif"))


@pytest.mark.slow
def test_it_finds_all_discs_though_a_quarter_of_some_images_is_annotated(
    run: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    found(run, data, out)
    capsys.readouterr()
    assert main(["evaluate", str(out), f"{data}:test", "--metric", "S@.5", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["summary"]["S@0.50"]["mean"] >= 0.8


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_package_of_it_gives_the_same_objects(run: Path, data: Path, tmp_path: Path) -> None:
    package = tmp_path / "discs.zip"
    assert main(["export", str(run), "-o", str(package), "--author", "the author", "--licence", "CC0-1.0"]) == 0
    assert np.array_equal(found(package, data, tmp_path / "one"), found(run, data, tmp_path / "other"))


def test_vectors_need_a_network_that_has_distances(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "cac:cac", "--set", "loss=spoco"]) == 2
    assert "set network.reach=4" in capsys.readouterr().err
