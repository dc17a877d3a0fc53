"""`--diameter`, `--roi` and `--mask` as a user says them."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

import toolkit
from tests.models import see_through
from toolkit.cli import main
from toolkit.io import Found, read_instances
from toolkit.pipeline import sized
from toolkit.pipeline.elsewhere import Bench, Source
from toolkit.pipeline.shelf import Shelf
from toolkit.running.one import at_size, key
from toolkit.running.options import Options
from toolkit.running.shelved import SIZE
from toolkit.running.workspace import Workspace
from toolkit.values.image import Image
from toolkit.values.rescaling import Rescaling

LEARNT = {"low": 8.0, "median": 10.0, "high": 14.0}
SEEN = 2**-1.375
"""The discs here are measured as 37.5 wide; 14 of these are known."""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SEG_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return see_through(tmp_path_factory.mktemp("model") / "seen", input={"diameter_px": LEARNT})


def discs(radius: float = 20, apart: int = 60, side: int = 240) -> np.ndarray:
    grid = np.indices((side, side)) % apart - apart / 2 + 0.5
    return np.asarray(((grid**2).sum(0) < radius**2).astype(np.uint8) * 200 + 10)


def ran(model: Path, *arguments: str) -> dict[str, Any]:
    assert main(["run", *arguments, "--model", str(model), "--no-preview", "--overwrite"]) == 0
    out = arguments[arguments.index("-o") + 1] if "-o" in arguments else "a.seg"
    record: dict[str, Any] = json.loads(Path(out, "run.json").read_text())
    return record


def test_large_objects_are_seen_small_and_come_back_large(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tifffile.imwrite("a.tif", discs())
    record = ran(model, "a.tif")
    assert "the model learnt Ø 8–14: seen at ×0.386" in capsys.readouterr().err.replace("\n", " ")
    assert record["images"][0]["size"]["by"] == [SEEN, SEEN]
    found = read_instances("a.seg/a.labels.tif")
    assert (found.shape, len(found)) == ((240, 240), 16)
    truth = toolkit.Instances.from_labels(toolkit.segment(discs(), model, diameter="off").to_labels())
    _, _, shared = found.intersections(truth)
    assert (shared / (found.sizes + truth.sizes - shared) > 0.85).all()
    assert toolkit.segment(discs(), model) == found == toolkit.segment(discs(), model, diameter=37.5)
    assert toolkit.segment(discs(), model, diameter="off") != found


def test_a_record_is_repeated_at_the_size_that_it_found(model: Path) -> None:
    tifffile.imwrite("a.tif", discs())
    ran(model, "a.tif")
    path = Path("a.seg/run.json")
    record = json.loads(path.read_text())
    record["images"][0]["size"]["by"] = [0.5, 0.5]
    path.write_text(json.dumps(record))
    assert main(["run", "--from", str(path), "-o", "b", "--no-preview"]) == 0
    assert json.loads(Path("b/run.json").read_text())["images"][0]["size"]["by"] == [0.5, 0.5]
    assert main(["run", "--from", str(path), "-o", "c", "--no-preview", "--diameter", "auto"]) == 0
    assert json.loads(Path("c/run.json").read_text())["images"][0]["size"]["by"] == [SEEN, SEEN]


@pytest.mark.parametrize("size", ["20", "27", "90"])
def test_blocks_and_workers_change_nothing_of_a_rescaled_image(model: Path, size: str) -> None:
    tifffile.imwrite("a.tif", discs(20, 60, 300))
    ran(model, "a.tif", "--diameter", size, "--workers", "1")
    whole = read_instances("a.seg/a.labels.tif")
    ran(model, "a.tif", "--diameter", size, "--workers", "1", "--block", "40", "-o", "b")
    assert read_instances("b/a.labels.tif") == whole
    if size == "20":
        ran(model, "a.tif", "--diameter", size, "--workers", "2", "--block", "40", "-o", "c")
        assert read_instances("c/a.labels.tif") == whole
    assert len(whole) == 25


def test_stages_are_of_the_size_that_was_found_when_the_run_began(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tifffile.imwrite("a.tif", discs())
    words = ("--block", "40", "--workers", "1")
    ran(model, "a.tif", *words)
    stages = ["run", "a.tif", *words, "--model", str(model), "--no-preview", "-o", "b"]
    assert main([*stages, "--stage", "scale"]) == 0
    with monkeypatch.context() as nobody:
        nobody.setattr(sized, "_looked", None)
        assert main([*stages, "--stage", "pieces"]) == 0
    assert main([*stages, "--resume"]) == 0
    assert json.loads(Path("b/run.json").read_text())["images"][0]["size"]["by"] == [SEEN, SEEN]
    assert Path("b/a.labels.tif").read_bytes() == Path("a.seg/a.labels.tif").read_bytes()


def test_what_was_done_at_one_size_is_not_gone_on_with_at_another(model: Path) -> None:
    space, one = Workspace(Path("o")), Found(Path("a.tif"), "a")
    bench, image, where = Bench(toolkit.Session(str(model))), Image.from_array(discs()), Source("a.tif")
    shelf = Shelf(space.shelf(key(one)) / "0", key(one))
    shelf.save(SIZE, Rescaling((0.5, 0.5), 20.0))
    assert at_size(space, one, bench, where, image, Options(space.out, diameter="auto")).by == (0.5, 0.5)
    other = replace(one, rescaling=Rescaling((2.0, 2.0)))
    assert at_size(space, other, bench, where, image, Options(space.out, diameter="auto")).by == (2.0, 2.0)
    assert not shelf.folder.exists()


def test_a_data_set_is_seen_as_it_is_unless_asked(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("d/images").mkdir(parents=True)
    tifffile.imwrite("d/images/a.tif", discs())
    Path("d/splits.json").write_text('{"test": ["a"]}')
    assert ran(model, "d:test", "-o", "o")["images"][0]["size"]["by"] == []
    assert "seen as it is" in capsys.readouterr().err
    assert ran(model, "d:test", "-o", "o", "--diameter", "auto")["images"][0]["size"]["by"] == [SEEN, SEEN]
    assert ran(model, "d", "-o", "o")["images"][0]["size"]["by"] == [SEEN, SEEN]


def test_objects_that_vanish_are_counted(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = discs(20, 60, 120)
    image[::9, ::9] = np.maximum(image[::9, ::9], 150)
    tifffile.imwrite("a.tif", image)
    ran(model, "a.tif", "--diameter", "2.5")
    found = read_instances("a.seg/a.labels.tif")
    said = capsys.readouterr().err
    assert ("smaller than a voxel" in said) == (len(found) < 4 + 100)


def test_a_part_of_an_image_is_cut_and_marked(model: Path) -> None:
    tifffile.imwrite("a.tif", discs(6, 24, 120))
    ran(model, "a.tif", "--diameter", "off")
    whole = read_instances("a.seg/a.labels.tif")
    ran(model, "a.tif", "--diameter", "off", "--roi", "0:60,24:", "-o", "b")
    part = read_instances("b/a.labels.tif")
    assert part.shape == whole.shape
    inside = np.zeros(whole.shape, bool)
    inside[:60, 24:] = True
    assert (part.to_labels() > 0).tolist() == ((whole.to_labels() > 0) & inside).tolist()
    rows = list(csv.DictReader(Path("b/a.objects.csv").read_text().splitlines()))
    assert [r["cut"] for r in rows] == ["0"] * 8 + ["1"] * 4
    tifffile.imwrite("m.tif", inside.astype(np.uint8) * 255)
    ran(model, "a.tif", "--diameter", "off", "--mask", "m.tif", "-o", "c")
    assert read_instances("c/a.labels.tif") == part
    assert "cut" not in Path("a.seg/a.objects.csv").read_text().splitlines()[0].split(",")


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--diameter", "wide"], 2, "a diameter is pixels"),
        (["--diameter", "3um"], 5, "the voxel size is unknown"),
        (["--roi", "5"], 2, "a box is first:last"),
        (["--roi", "1:5"], 5, "the box has 1 axes"),
        (["--mask", "none.tif"], 5, "none.tif"),
        (["--mask", "small.tif"], 5, "the mask has"),
        (["--mask", "."], 5, "a mask is one image, and this is a folder"),
    ],
)
def test_what_cannot_be_meant_is_a_sentence(
    model: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, says: str
) -> None:
    tifffile.imwrite("a.tif", discs())
    tifffile.imwrite("small.tif", np.ones((9, 9), np.uint8))
    assert main(["run", "a.tif", "--model", str(model), *arguments]) == code
    assert says in capsys.readouterr().err


def test_what_removed_all_objects_is_said(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tifffile.imwrite("a.tif", discs(side=60))
    tifffile.imwrite("m.tif", np.zeros((60, 60), np.uint8))
    record = ran(model, "a.tif", "--diameter", "off", "--mask", "m.tif", "--features", "both")
    assert record["options"]["features"] == ["shape", "intensity"]
    told = " ".join(capsys.readouterr().err.split())
    assert "1 object was found, but the mask m.tif is empty" in told
    assert "try --diameter" not in told


def test_a_mask_may_have_the_frames_of_the_image(model: Path) -> None:
    tifffile.imwrite("a.tif", np.stack([discs(side=60)] * 3), imagej=True, metadata={"axes": "TYX"})
    mask = np.zeros((3, 60, 60), np.uint8)
    mask[1], mask[2, :30] = 255, 255
    tifffile.imwrite("m.tif", mask, photometric="minisblack")
    ran(model, "a.tif", "--diameter", "off", "--mask", "m.tif")
    found = read_instances("a.seg/a.zarr").to_labels()
    assert [bool(frame.any()) for frame in found] == [False, True, True]
    assert not found[mask == 0].any()


def test_without_objects_the_diameter_is_named(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tifffile.imwrite("a.tif", np.full((50, 50), 7, np.uint8))
    ran(model, "a.tif")
    assert "--diameter" in " ".join(capsys.readouterr().err.split())
