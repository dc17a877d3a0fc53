"""A run predicts every window once, though a first look and the plan see some before."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import tifffile

from tests.models import see_through
from toolkit import io
from toolkit.io.zarrthoughts import read_thoughts
from toolkit.pipeline.session import Session
from toolkit.plugins.catalogue import Catalogue
from toolkit.registry import resolve
from toolkit.testing.scenes import blobs
from toolkit.values.tiles import Box

COUNTING = """
import hashlib, os
from toolkit.pipeline.modules import TorchEngine
once = TorchEngine.__call__
def counting(self, voxels):
    with open(os.environ["COUNTED"], "a") as stream:
        for window in voxels:
            shape = "x".join(map(str, window.shape[1:]))
            stream.write(f"{shape} {hashlib.sha256(window.tobytes()).hexdigest()}\\n")
    return once(self, voxels)
TorchEngine.__call__ = counting
"""
"""What every process does as it begins: a line for each window that an engine is given."""


def counted(folder: Path, *words: str) -> dict[str, Counter[str]]:
    """How often engines were given the windows of each shape, in all processes of a run."""
    (folder / "sitecustomize.py").write_text(COUNTING)
    (folder / "counted").write_text("")
    paths = os.pathsep.join([str(folder), *(path for path in sys.path if path)])
    environment = {
        **os.environ, "PYTHONPATH": paths, "COUNTED": str(folder / "counted"), "SEG_HOME": str(folder / "home"),
    }  # fmt: skip
    command = [sys.executable, "-m", "toolkit.cli", "run", *words, "--no-preview", "--overwrite", "--device", "cpu"]
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Counter[str]] = {}
    for line in (folder / "counted").read_text().splitlines():
        shape, digest = line.split()
        found.setdefault(shape, Counter())[digest] += 1
    return found


def nuclei(path: Path, side: int, seed: int = 0, by: int = 1) -> None:
    scene = blobs((side // by,) * 2, count=side**2 // by**2 // 3000, radius=(8.0, 12.0), seed=seed).image.read()[0]
    tifffile.imwrite(path, np.kron(scene, np.ones((by, by), scene.dtype)))


@pytest.mark.slow
@pytest.mark.parametrize(("side", "workers", "diameter"), [(512, 1, "auto"), (512, 2, "off"), (1024, 2, "auto")])
def test_ppp_predicts_25_windows_once_each(tmp_path: Path, side: int, workers: int, diameter: str) -> None:
    nuclei(tmp_path / "a.tif", side)
    window, overlap = side // 4, side // 16
    found = counted(
        tmp_path, "a.tif", "--plugin", "ppp", "--set", f"tiling.window=[{window},{window}]", "--set",
        f"tiling.overlap={overlap}", "--block", str(window), "--workers", str(workers), "--diameter", diameter,
    )  # fmt: skip
    own = found.pop(f"{window}x{window}")
    assert len(own) == 25
    assert set(own.values()) == {1}
    assert sum(map(Counter.total, found.values())) <= (2 if diameter == "auto" else 0), "a look at half the size"


@pytest.mark.slow
def test_an_image_of_one_window_of_objects_that_stand_apart_is_seen_once(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for number in range(3):
        nuclei(tmp_path / "images" / f"{number}.tif", 192, number)
    found = counted(tmp_path, "images", "--plugin", "embedseg", "--workers", "1")
    assert sum(map(Counter.total, found.values())) == 3


@pytest.mark.slow
@pytest.mark.parametrize(
    "how", [(), ("--block", "64"), pytest.param(("--block", "64", "--workers", "2"), marks=pytest.mark.slow)]
)
def test_heads_that_are_shown_are_those_that_the_run_predicted(tmp_path: Path, how: tuple[str, ...]) -> None:
    nuclei(tmp_path / "a.tif", 200)
    own = ("a.tif", "--plugin", "cpv", "--set", "tiling.window=[64,64]", "--set", "tiling.overlap=16",
           "--diameter", "auto", "--workers", "1")  # fmt: skip
    found = counted(tmp_path, *own, *how, "--show", "heads,entropy", "-o", "shown.seg")
    assert len(found["64x64"]) >= 16, "and those of a look at half the size"
    assert set(found["64x64"].values()) == {1}
    fields, _ = read_thoughts(tmp_path / "shown.seg" / "a.zarr")
    model = resolve.load("cpv", Catalogue())
    recipe = model.recipe.changed(["tiling.window=[64,64]", "tiling.overlap=16"], Catalogue(), model.owner)
    session = Session(model.with_recipe(recipe), "cpu")
    here = session.prepare(io.read(tmp_path / "a.tif"))
    whole = session.predictor(here.image, here.scale, Box.whole((200, 200)))
    assert fields.keys() == {"head_three_label", "head_cpv", "entropy"}
    for name in ("three_label", "cpv"):
        assert np.array_equal(fields[f"head_{name}"][...], whole[name].astype(np.float16))


def test_an_image_that_is_seen_small_is_predicted_once_as_it_is_seen(tmp_path: Path) -> None:
    learnt = {"diameter_px": {"low": 8.0, "median": 10.0, "high": 14.0}}
    model = see_through(tmp_path / "m", input=learnt, tiling={"window": [64, 64], "overlap": 8})
    grid = np.indices((240, 240)) % 60 - 29.5
    tifffile.imwrite(tmp_path / "a.tif", ((grid**2).sum(0) < 400).astype(np.uint8) * 200 + 10)
    found = counted(tmp_path, "a.tif", "--model", str(model), "--workers", "1")
    assert found["60x60"].total() == 1, "a quarter of the size, where the discs have the diameter that was learnt"
