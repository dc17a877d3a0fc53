"""From a few annotated objects to results on the command line; the model is the embedding branch alone."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from safetensors import safe_open

from toolkit.testing import blobs
from toolkit.testing import seg as main

SMALL = ("network.maps=[4,6]", "training.crop=[48,48]", "tiling.window=[64,64]", "tiling.overlap=16",
         "training.batch=1", "training.augment=[flip]", "training.validations=1")  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bright blobs of which one in each training image is annotated; of the last, none."""
    folder = tmp_path_factory.mktemp("cells") / "data"
    names = {"train": ["a", "b", "c"], "val": ["d"]}
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
    for seed, name in enumerate(n for split in names.values() for n in split):
        scene = blobs((72, 80), count=6, seed=seed)
        labels = scene.truth.layers[0]
        if name in names["train"]:
            labels = np.where((labels == 1) & (name != "c"), labels, -1)
        tifffile.imwrite(folder / "images" / f"{name}.tif", scene.image.read()[0])
        tifffile.imwrite(folder / "masks" / f"{name}.tif", labels.astype(np.int16))
    (folder / "splits.json").write_text(json.dumps(names))
    return folder


def trained(data: Path, run: Path, *changes: str, steps: int = 9) -> None:
    sets = [word for change in (*SMALL, *changes) for word in ("--set", change)]
    arguments = ["--data", str(data), "-o", str(run), "--threads", "1", "--steps", str(steps), "--device", "cpu"]
    assert main(["train", "--plugin", "cac", *arguments, *sets]) == 0


@pytest.mark.slow
def test_a_training_leaves_the_embedding_branch_alone_which_runs_by_itself(data: Path, tmp_path: Path) -> None:
    run, out = tmp_path / "run", tmp_path / "out"
    trained(data, run)
    with safe_open(run / "best.safetensors", "pt") as best, safe_open(run / "last.safetensors", "pt") as last:
        members = {name.split(".")[1] for name in last.keys() if name.startswith("average.")}  # noqa: SIM118
        assert members == {"network", "explicit", "judge"}
        own = {name.removeprefix("average.network.") for name in last.keys() if name.startswith("average.network.")}  # noqa: SIM118
        assert set(best.keys()) == own
        assert best.get_tensor("out.weight").shape[0] == 16 + 1, "a vector and the foreground, no output for each pair"
    log = (run / "log.csv").read_text()
    assert [phase for phase in ("alone", "judging", "together") if f",{phase}," in log] == [
        "alone",
        "judging",
        "together",
    ]
    assert main(["run", f"{data}:val", "--model", str(run), "-o", str(out), "--workers", "1", "--no-preview"]) == 0
    assert tifffile.imread(out / "d.labels.tif").shape == (72, 80)


@pytest.mark.slow
@pytest.mark.parametrize("teaching", ["none", "entropy"])
def test_ablations_train_and_no_image_without_annotation_stops_them(data: Path, tmp_path: Path, teaching: str) -> None:
    trained(data, tmp_path / "run", f"loss.teaching={teaching}", steps=4)


def test_the_doctor_says_what_is_not_annotated(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", f"{data}:train", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    codes = {finding["code"]: [place["image"] for place in finding["where"]] for finding in found["findings"]}
    assert codes["nothing-annotated"] == ["c"]
    assert codes["unannotated"] == ["a", "b"]
    assert "empty-mask" not in codes


def test_too_few_steps_for_its_phases_are_refused(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sets = [word for change in SMALL for word in ("--set", change)]
    assert (
        main(["train", "--plugin", "cac", "--data", str(data), "-o", str(tmp_path / "run"), "--steps", "2", *sets]) == 2
    )
    assert "3 phases" in capsys.readouterr().err
