"""See, correct, learn: from a result and its corrections to a model that is no worse on what was held back."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from safetensors.numpy import load_file

from tests.models import see_through
from toolkit.cli import main
from toolkit.registry.store import Store
from toolkit.testing.scenes import blobs
from toolkit.training.data import Crops

NAMES = tuple("abcdef")


@pytest.fixture
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A result of a model that sees too little, and the truth as what a person saved."""
    monkeypatch.setenv("SEG_HOME", str(tmp_path / "home"))
    (tmp_path / "images").mkdir()
    corrections = tmp_path / "images.seg.corrections"
    corrections.mkdir()
    for seed, name in enumerate(NAMES):
        scene = blobs((48, 56), count=5, seed=seed)
        tifffile.imwrite(tmp_path / "images" / f"{name}.tif", scene.image.read()[0])
        tifffile.imwrite(corrections / f"{name}.tif", scene.truth.layers[0])
    see_through(tmp_path / "model")
    run = ["run", str(tmp_path / "images"), "--model", str(tmp_path / "model"), "-o", str(tmp_path / "images.seg")]
    assert main([*run, "--workers", "1", "--no-preview", "--set", "postprocess.foreground=0.95"]) == 0
    return tmp_path / "images.seg"


def train(out: Path, folder: str, *more: str, start: str = "model") -> int:
    place = out.parent
    return main(
        ["train", "--model", str(place / start), "--corrections", str(out), "-o", str(place / folder), "--threads", "1",
         "--device", "cpu", "--set", "training.batch=1", *more]
    )  # fmt: skip


@pytest.mark.slow
def test_corrections_teach_and_the_score_before_and_after_is_said_and_obtained(
    out: Path, capsys: pytest.CaptureFixture[str], obtained: Callable[[Path, Path], tuple[float, float]]
) -> None:
    assert main(["correct", str(out), "--whole", "--by", "Ada"]) == 0
    assert train(out, "better", "--steps", "60", "--name", "better") == 0
    said = capsys.readouterr()
    assert "learns from corrections of 6 images, 1 of them held back to judge" in said.err
    record = json.loads((out.parent / "better" / "training.json").read_text())
    score = record["closing"]
    assert f"score  S@0.50 {score['before']:.3f} → {score['value']:.3f} on 1 images" in said.out
    assert score["value"] > score["before"]
    value, found = obtained(out.parent / "better", out.parent / "better" / "data")
    assert value == found
    entry = Store().get("better")
    assert entry.version == "1"
    assert entry.parent == str(out.parent / "model")
    assert entry.notes == f"corrections {record['corrections']['sha256']} of 6 images"
    assert entry.scores == {"S@0.50 val": pytest.approx(score["value"])}
    assert len(record["corrections"]["held"]) == 1
    # The next one is judged by the same images.
    assert train(out, "again", "--steps", "2", start="better") == 0
    again = json.loads((out.parent / "again" / "training.json").read_text())
    assert again["corrections"]["held"] == record["corrections"]["held"]
    assert again["closing"]["before"] == score["value"]


@pytest.mark.slow
def test_a_training_that_makes_it_worse_keeps_the_model_that_it_began_with(
    out: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["correct", str(out), "--whole"]) == 0
    wrong = Crops.sample

    def inverted(self: Crops, rng: np.random.Generator) -> object:
        sample = wrong(self, rng)
        sample.voxels[...] = -sample.voxels
        return sample

    monkeypatch.setattr(Crops, "sample", inverted)
    capsys.readouterr()
    assert train(out, "worse", "--steps", "8", "--set", "training.learning_rate=1.0", "--name", "worse") == 0
    said = capsys.readouterr()
    record = json.loads((out.parent / "worse" / "training.json").read_text())["closing"]
    assert record["value"] >= record["before"]
    assert "weights of the model that it began with" in said.err
    before, after = (load_file(out.parent / run / "best.safetensors") for run in ("model", "worse"))
    assert all(np.array_equal(before[name], after[name]) for name in before)
    assert "not installed as worse" not in said.err  # its thresholds are other ones
    assert record["changes"]


@pytest.mark.slow
def test_a_training_from_corrections_is_stopped_and_resumed(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["correct", str(out), "--whole"]) == 0
    assert train(out, "run", "--steps", "3") == 0
    assert train(out, "run", "--steps", "3") == 2
    assert "the output exists" in capsys.readouterr().err
    assert main(["train", "-o", str(out.parent / "run"), "--resume"]) == 0
    assert train(out, "run", "--steps", "3", "--resume") == 0


def test_without_anything_to_learn_from_it_is_said(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(out, "run") == 5
    assert "no corrections were merged" in capsys.readouterr().err
    assert not (out.parent / "run" / "data").exists()
    assert main(["train", "--model", str(out.parent / "model"), "-o", str(out.parent / "run")]) == 2
    assert "there is nothing to learn from: --data or --corrections" in capsys.readouterr().err
