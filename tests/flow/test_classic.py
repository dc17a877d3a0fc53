"""A method without a network runs at once: no torch, no weights, no training."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import invalidate_caches
from pathlib import Path

import numpy as np
import pytest
import tifffile

from tests.battery.installed import install
from toolkit.cli import main
from toolkit.testing.scenes import blobs
from toolkit.values.instances import Instances

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An image, and the example `otsu` as if it were installed."""
    about = tmp_path / "site" / "toolkit_otsu-0.1.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: seg-toolkit-otsu\nVersion: 0.1\n")
    (about / "entry_points.txt").write_text("[toolkit.plugins]\notsu = toolkit_otsu\n")
    for place in (ROOT / "examples" / "otsu", tmp_path / "site"):
        monkeypatch.syspath_prepend(place)
    invalidate_caches()
    monkeypatch.setenv("SEG_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    tifffile.imwrite("cells.tif", blobs((96, 96), seed=5).image.read()[0])
    return tmp_path / "cells.tif"


@pytest.mark.slow
def test_it_runs_by_its_plugin_its_recipe_or_a_file_in_any_blocks(
    image: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = image.parent / "mine.yaml"
    recipe.write_text((ROOT / "examples/otsu/toolkit_otsu/recipes/otsu.yaml").read_text())
    ways = (
        ["--plugin", "otsu"],
        ["--recipe", "otsu"],
        ["--recipe", str(recipe)],
        ["--plugin", "otsu", "--block", "32"],
    )
    found = []
    for number, way in enumerate(ways):
        out = f"{number}.seg"
        assert main(["run", "cells.tif", *way, "-o", out, "--workers", "1", "--no-preview"]) == 0
        found.append(tifffile.imread(f"{out}/cells.labels.tif"))
    assert all(np.array_equal(found[0], other) for other in found)
    assert found[0].max() == len(blobs((96, 96), seed=5).instances)
    record = json.loads((image.parent / "0.seg" / "run.json").read_text())
    assert record["versions"]["seg-toolkit-otsu"] == "0.1"
    assert main(["run", "--from", "0.seg/run.json", "-o", "again", "--workers", "1", "--no-preview"]) == 0
    assert np.array_equal(tifffile.imread("again/cells.labels.tif"), found[0])


def test_an_image_of_several_windows_is_one_image(image: Path) -> None:
    """What a run will cost is measured on windows by themselves, as the size of objects is."""
    tifffile.imwrite("large.tif", np.tile(tifffile.imread("cells.tif"), (5, 5)))
    for out, diameter in (("own", "off"), ("seen", "auto")):
        run = ["run", "large.tif", "--plugin", "otsu", "-o", out, "--diameter", diameter, "--workers", "1"]
        assert main([*run, "--no-preview"]) == 0
        found = Instances.from_labels(tifffile.imread(f"{out}/large.labels.tif"))
        assert len(found) == 25 * len(blobs((96, 96), seed=5).instances)


WRAPPED = """
from pathlib import Path

from toolkit.api import hookimpl, postprocessor

SEG_API = 2


@postprocessor("wrapped", needs={"image": 1}, halo=24)
def wrapped(heads):
    from skimage.measure import label  # stands for a tool that knows nothing of blocks

    return label(heads["image"][0] > 0.5)


@hookimpl
def seg_postprocessors():
    return (wrapped,)


@hookimpl
def seg_recipes():
    return [Path(__file__).parent / "wrapped.yaml"]
"""


def test_a_wrapped_tool_is_stitched_between_blocks_and_that_is_said(
    image: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    install(image.parent / "site", "wrapped", "toolkit_wrapped", WRAPPED)
    recipe = "schema: toolkit.recipe/1\nname: wrapped\nnetwork: {kind: image}\npostprocess: {kind: wrapped}\n"
    (image.parent / "site" / "wrapped.yaml").write_text(recipe + "tiling: {window: [32, 32], overlap: 0}\n")
    invalidate_caches()
    found = {}
    for out, block in (("one", []), ("many", ["--block", "32"])):
        run = ["run", "cells.tif", "--plugin", "wrapped", "-o", out, *block, "--workers", "1", "--no-preview"]
        assert main(run) == 0
        said = capsys.readouterr().err
        record = json.loads((image.parent / out / "run.json").read_text())
        assert ("9 blocks of 9 windows, stitched" in said, record["images"][0]["stitched"]) == (bool(block),) * 2
        found[out] = Instances.from_labels(tifffile.imread(f"{out}/cells.labels.tif"))
    assert len(found["one"]) > 3
    assert found["many"] == found["one"]


def test_it_is_not_trained_and_not_exported(image: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--plugin", "otsu", "--data", "data", "-o", "run"]) == 2
    assert "this method learns nothing: otsu" in capsys.readouterr().err
    assert main(["export", "otsu", "-o", "x.zip", "--author", "A", "--image", "cells.tif"]) == 2
    assert "its recipe is the model" in capsys.readouterr().err


def test_an_image_of_other_channels_than_it_reads_is_refused(image: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tifffile.imwrite(
        "two.tif", np.zeros((2, 64, 64), np.uint8) + np.arange(64, dtype=np.uint8), metadata={"axes": "CYX"}
    )
    code = main(["run", "two.tif", "--plugin", "otsu", "-o", "two", "--set", "input.channels=all", "--workers", "1"])
    assert code == 2
    assert "needs a head image of 1 channel: the model has image (2)" in capsys.readouterr().err


def test_a_recipe_alone_means_the_model_that_it_was_made_of(image: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "cells.tif", "--recipe", "unet", "-o", "x"]) == 2
    assert "this method ships no trained model" in capsys.readouterr().err


@pytest.mark.slow
def test_it_imports_no_torch(image: Path) -> None:
    code = (
        "import sys, toolkit\n"
        "from toolkit.pipeline.segment import segment\n"
        "assert len(segment('cells.tif', 'otsu')) > 2\n"
        "sys.exit(','.join({'torch', 'monai', 'onnxruntime', 'bioimageio'} & set(sys.modules)) or 0)\n"
    )
    environment = {"PYTHONPATH": ":".join(filter(None, sys.path)), "PATH": ""}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert (done.returncode, done.stderr) == (0, "")
