"""Training, from the data set to a model that runs."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
import yaml
from safetensors.numpy import load_file

from toolkit.cli import main
from toolkit.testing.scenes import blobs
from toolkit.training.loop import Report

SMALL = (
    "network.maps=4",
    "training.batch=1",
    "training.crop=[64,64]",
    "tiling.window=[64,64]",
    "tiling.overlap=16",
)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    names = {"train": ["a", "b", "c"], "val": ["d"]}
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
    for seed, name in enumerate(n for split in names.values() for n in split):
        scene = blobs((72, 80), count=5, seed=seed)
        tifffile.imwrite(folder / "images" / f"{name}.tif", scene.image.read()[0])
        tifffile.imwrite(folder / "masks" / f"{name}.tif", scene.truth.layers[0].astype(np.uint16))
    (folder / "splits.json").write_text(json.dumps(names))
    return folder


def begin(data: Path, out: Path, *more: str) -> int:
    changes = [word for change in SMALL for word in ("--set", change)]
    return main(
        ["train", "--plugin", "embedseg", "--data", str(data), "-o", str(out), "--threads", "1", *changes, *more]
    )


def rows(run: Path) -> list[dict[str, str]]:
    """The log without the clock."""
    with (run / "log.csv").open() as stream:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(stream)]


def test_a_resumed_training_ends_with_the_weights_of_an_uninterrupted_one(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert begin(data, whole, "--steps", "110", "--set", "postprocess.min_size=5") == 0

    def interrupt(report: Report) -> None:
        if report.progress.step == 60:  # after the checkpoint of step 50
            raise KeyboardInterrupt

    monkeypatch.setattr("toolkit.cli.training.lines", lambda screen: interrupt)
    assert begin(data, parts, "--steps", "110", "--set", "postprocess.min_size=5") == 130
    monkeypatch.undo()
    assert main(["train", "--data", str(data), "-o", str(parts), "--resume"]) == 0
    # What was set when it was begun is not tuned.
    assert yaml.safe_load((parts / "recipe.yaml").read_text())["postprocess"]["min_size"] == 5

    for name in ("last.safetensors", "best.safetensors"):
        expected, found = load_file(whole / name), load_file(parts / name)
        assert expected.keys() == found.keys()
        assert all(np.array_equal(expected[k], found[k]) for k in expected), name
    assert rows(parts) == rows(whole)
    assert len(rows(whole)) == 110
    assert (parts / "curve.png").stat().st_size > 1000


def test_a_run_that_exists_is_not_overwritten_and_another_recipe_is_not_resumed(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert begin(data, run, "--steps", "3") == 0
    assert begin(data, run, "--steps", "3") == 2
    assert begin(data, run, "--steps", "3", "--set", "training.learning_rate=0.1", "--resume") == 2
    said = capsys.readouterr().err
    assert said.count("error:") == 2
    assert "Traceback" not in said


def test_the_score_that_is_printed_is_obtained(
    data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    obtained: Callable[[Path, Path], tuple[float, float]],
) -> None:
    run = tmp_path / "run"
    assert begin(data, run, "--steps", "40", "--set", "postprocess.min_size=2") == 0
    printed = capsys.readouterr().out
    said, found = obtained(run, data)
    assert said == found
    assert f"score  S@0.50 {found:.3f} on 1 images of {data}:val" in printed
    tuned = yaml.safe_load((run / "recipe.yaml").read_text())["postprocess"]
    assert tuned["min_size"] == 2  # what --set has set is not tuned
    record = json.loads((run / "training.json").read_text())
    assert record["closing"]["postprocess"] == tuned
    assert record["recipe"]["postprocess"]["seed"] == 0.8667  # what it was begun with
    capsys.readouterr()
    assert begin(data, run, "--steps", "40", "--set", "postprocess.min_size=2", "--resume") == 0
    assert f"score  S@0.50 {found:.3f}" in capsys.readouterr().out


def test_minutes_become_steps_and_the_model_runs(data: Path, tmp_path: Path) -> None:
    run, out = tmp_path / "run", tmp_path / "out"
    assert begin(data, run, "--minutes", "0.1") == 0
    assert len(rows(run)) >= 20
    image = data / "images" / "d.tif"
    assert main(["run", str(image), "--model", str(run), "-o", str(out), "--workers", "1"]) == 0
    assert (out / "d.labels.tif").is_file()


def test_a_model_alone_is_trained_on_with_its_own_recipe(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    assert begin(data, first, "--steps", "2") == 0
    more = ["train", "--model", str(first), "--data", str(data), "-o", str(second), "--threads", "1", "--steps", "1"]
    assert main([*more, "--set", "training.learning_rate=1e-12"]) == 0
    one, other = (yaml.safe_load((run / "recipe.yaml").read_text()) for run in (first, second))
    assert other["training"].pop("learning_rate") == 1e-12
    assert other["training"].pop("steps") == 1
    for key in ("learning_rate", "steps"):
        del one["training"][key]
    assert one == other
    before, after = (load_file(run / "best.safetensors") for run in (first, second))
    weights = [name for name in before if name.endswith("weight")]
    assert all(np.allclose(before[name], after[name], atol=1e-6) for name in weights)
    capsys.readouterr()
    assert main(["train", "--data", str(data), "-o", str(tmp_path / "third")]) == 2
    assert "no method was named: --plugin, --recipe or --model" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["a: [", "- x", None])
def test_a_run_whose_recipe_is_damaged_is_not_resumed(
    text: str | None, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert begin(data, run, "--steps", "1") == 0
    (run / "recipe.yaml").unlink()
    if text is not None:
        (run / "recipe.yaml").write_text(text)
    capsys.readouterr()
    assert begin(data, run, "--steps", "1", "--resume") == 5
    assert "the recipe of this training is damaged" in capsys.readouterr().err


def test_where_val_has_no_object_the_last_weights_are_kept_and_that_is_said(data: Path, tmp_path: Path, capfd) -> None:
    tifffile.imwrite(data / "masks" / "d.tif", np.zeros((72, 80), np.uint16))
    assert begin(data, tmp_path / "run", "--steps", "60") == 0
    said = capfd.readouterr()
    assert "data:val has an object: nothing is scored or tuned, the last weights are kept" in said.err
    assert "weights of step 60" in said.err
    assert "score" not in said.out
