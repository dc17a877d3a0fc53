"""`seg run` as a user runs it."""

from __future__ import annotations

import csv
import errno
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr
from scipy.ndimage import label

from tests.models import bright, see_through
from tests.samples import nuclei
from toolkit import io
from toolkit.cli import main
from toolkit.errors import StorageError
from toolkit.files.lock import held
from toolkit.values.instances import Instances
from toolkit.values.voxels import Voxels

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SEG_HOME", str(tmp_path / "home"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return see_through(tmp_path_factory.mktemp("model") / "seen")


@pytest.fixture(scope="module")
def volumes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return see_through(tmp_path_factory.mktemp("model") / "seen", 3)


class Said:
    """Exit code, standard output and standard error of one command."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def told(self) -> str:
        """Standard error with single spaces, in one line."""
        return " ".join(self.err.split())

    @property
    def error(self) -> str:
        lines = [line for line in self.err.splitlines() if line.startswith("error: ")]
        assert len(lines) == 1, self.err
        assert "Traceback" not in self.err
        return lines[0]


@pytest.fixture
def seg(capfd: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    def run(*arguments: object) -> Said:
        capfd.readouterr()
        workers = () if "--workers" in arguments else ("--workers", "1")
        code = main(["run", *map(str, arguments), *workers, "--device", "cpu"])
        return Said(code, *capfd.readouterr())

    return run


def write(path: Path, array: np.ndarray, **about: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, array, photometric="minisblack", **about)
    return path


def wanted(array: np.ndarray) -> Instances:
    """What the see-through model must find."""
    middle = (float(array.min()) + float(array.max())) / 2
    return Instances.from_labels(label(array > middle)[0])


def content(folder: Path) -> dict[str, bytes]:
    """Everything below a folder but what holds times."""
    found = {str(p.relative_to(folder)): p for p in sorted(folder.rglob("*")) if p.is_file()}
    return {name: path.read_bytes() for name, path in found.items() if path.name != "run.json"}


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


@pytest.mark.parametrize("ndim", [2, 3])
def test_labels_objects_table_picture_and_record_agree(ndim: int, model, volumes, here: Path, seg) -> None:
    array = bright((90, 70) if ndim == 2 else (12, 40, 30))
    write(here / "cells.tif", array)
    said = seg("cells.tif", "--model", model if ndim == 2 else volumes)
    assert said.code == 0, said.err
    out = here / "cells.seg"
    assert names(here) == ["cells.seg", "cells.tif"]
    assert names(out) == ["cells.labels.tif", "cells.objects.csv", "cells.overlay.png", "cells.zarr", "run.json"]

    expected = wanted(array)
    labels = tifffile.imread(out / "cells.labels.tif")
    assert labels.dtype == np.uint16
    assert Instances.from_labels(labels) == expected
    assert io.read_instances(out / "cells.zarr") == expected
    with (out / "cells.objects.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    sizes = [int(r["area_px" if ndim == 2 else "volume_px"]) for r in rows]
    assert [int(r["id"]) for r in rows] == list(range(1, len(expected) + 1))
    assert sizes == expected.sizes.tolist() == np.bincount(labels.reshape(-1))[1:].tolist()
    record = json.loads((out / "run.json").read_text())
    (image,) = record["images"]
    assert (image["objects"], image["shape"], image["error"]) == (len(expected), list(array.shape), None)
    assert image["input"] == str(here / "cells.tif")
    assert sorted(image["files"]) == [n for n in names(out) if n != "run.json"]
    assert f"{len(expected)} objects" in said.err
    assert "wrote  cells.seg/: cells.labels.tif" in said.out


def test_json_is_one_document_on_stdout(model, here: Path, seg) -> None:
    write(here / "a.tif", bright((40, 40)))
    said = seg("a.tif", "--model", model, "--json", "--no-preview")
    assert said.code == 0
    assert json.loads(said.out) == json.loads((here / "a.seg" / "run.json").read_text())
    plan = seg("a.tif", "--model", model, "--json", "--dry-run", "-o", "other")
    assert json.loads(plan.out)["images"] == 1
    assert names(here) == ["a.seg", "a.tif"]


def test_a_record_repeats_its_run_from_anywhere(model, here: Path, tmp_path: Path, seg, monkeypatch) -> None:
    for k in range(2):
        write(here / "in" / f"{k}.tif", bright((50, 60), seed=k))
    link = here / "seen"
    link.symlink_to(model)
    assert seg("in", "--model", "seen", "-o", "one", "--set", "postprocess.min_size=30", "--no-preview").code == 0
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    again = seg("--from", here / "one" / "run.json", "-o", "two")
    assert again.code == 0, again.err
    assert content(tmp_path / "elsewhere" / "two") == content(here / "one")
    first, second = (json.loads((p / "run.json").read_text()) for p in (here / "one", tmp_path / "elsewhere" / "two"))
    assert first["recipe"] == second["recipe"]
    assert first["recipe"]["postprocess"]["min_size"] == 30


@pytest.mark.parametrize(
    ("name", "value"),
    [("axes", ["Y", "X"]), ("block", 2.5), ("block", 0), ("roi", 5), ("voxel_size", ["a", "b"]), ("voxel_size", [-1.0]),
     ("features", ["nonsense"]), ("ome_zarr", "9"), ("min_score", "x"), ("mask", {}), ("skip", "1:2")],
)  # fmt: skip
def test_options_of_a_record_that_cannot_be_are_a_sentence(model, here: Path, seg, name: str, value: object) -> None:
    write(here / "a.tif", bright((40, 40)))
    assert seg("a.tif", "--model", model, "-o", "one", "--no-preview").code == 0
    record = json.loads((here / "one" / "run.json").read_text())
    record["options"][name] = value
    (here / "bent.json").write_text(json.dumps(record))
    said = seg("--from", "bent.json", "-o", "two")
    assert (said.code, said.error) == (
        5,
        "error: this is no record of a run: bent.json; name the run.json of an output folder",
    )


def test_another_image_under_the_name_of_a_record_is_said(model, here: Path, seg) -> None:
    write(here / "a.tif", bright((40, 40)))
    assert seg("a.tif", "--model", model, "-o", "one", "--no-preview").code == 0
    assert "not the same bytes" not in seg("--from", "one/run.json", "-o", "two").err
    write(here / "a.tif", bright((40, 40), 1))
    said = seg("--from", "one/run.json", "-o", "three")
    assert said.code == 0
    assert "not the same bytes as in the run that is repeated: a" in said.err


def test_a_record_of_another_model_is_not_repeated_in_silence(model, here: Path, seg) -> None:
    write(here / "a.tif", bright((40, 40)))
    shutil.copytree(model, here / "mine")
    assert seg("a.tif", "--model", "mine", "-o", "one").code == 0
    weights = here / "mine" / "best.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    said = seg("--from", "one/run.json", "-o", "two")
    assert said.code == 4
    assert "this is not the model of that run any more" in said.error
    assert seg("--from", "one/run.json", "--model", "mine", "-o", "two").code == 0
    assert seg("--from", "a.tif", "-o", "three").error.startswith("error: this is no record of a run: a.tif")


def test_an_output_is_never_overwritten_unasked(model, here: Path, seg) -> None:
    write(here / "a.tif", bright((40, 40), 1))
    assert seg("a.tif", "--model", model).code == 0
    before = content(here)
    said = seg("a.tif", "--model", model)
    assert said.code == 2
    assert said.error == "error: the output exists: a.seg; choose another -o, or say --overwrite"
    assert content(here) == before
    write(here / "a.tif", bright((40, 40), 2))
    assert seg("a.tif", "--model", model, "--overwrite").code == 0
    assert io.read_instances(here / "a.seg" / "a.zarr") == wanted(bright((40, 40), 2))
    assert names(here) == ["a.seg", "a.tif"]


def test_a_folder_that_no_run_made_is_never_overwritten(model, here: Path, seg) -> None:
    write(here / "photos" / "a.tif", bright((40, 40)))
    said = seg("photos", "--model", model, "-o", "photos", "--overwrite")
    assert said.code == 2
    assert "no output of a run" in said.error
    assert names(here / "photos") == ["a.tif"]


def test_folders_of_the_user_beside_the_output_are_neither_used_nor_removed(model, here: Path, seg) -> None:
    write(here / "a.tif", bright((40, 40)))
    for name in ("out.work/sub", "out.old", "fine.old", "victim"):
        (here / name).mkdir(parents=True)
        (here / name / "thesis.txt").write_text("precious")
    (here / "linked.work").symlink_to("victim")
    for out in ("out", "linked"):
        said = seg("a.tif", "--model", model, "-o", out)
        assert said.code == 2
        assert (
            said.error
            == f"error: no run made this, so none works in it: {out}.work; move it away, or choose another -o"
        )
        assert not (here / out).exists()
    for _ in range(2):
        assert seg("a.tif", "--model", model, "-o", "fine", "--overwrite").code == 0
    (here / "fine" / "notes.txt").write_text("mine")
    said = seg("a.tif", "--model", model, "-o", "fine", "--overwrite")
    assert said.code == 2
    assert f"its output is not overwritten: fine{os.sep}notes.txt" in said.error
    for name in ("out.work/sub", "out.old", "fine.old", "victim"):
        assert [p.read_text() for p in (here / name).iterdir()] == ["precious"]


def test_a_second_process_on_one_output_is_refused(model, here: Path, seg) -> None:
    write(here / "a.tif", bright((40, 40)))
    (here / "a.seg.work").mkdir()
    with held(here / "a.seg.work"):
        said = seg("a.tif", "--model", model)
    assert said.code == 7
    assert f"another run writes to this output: a.seg.work, process {os.getpid()}; wait for it" in said.error
    assert not (here / "a.seg").exists()


def test_one_bad_file_among_many_is_listed_and_the_others_are_done(model, here: Path, seg) -> None:
    for k in range(3):
        write(here / "in" / f"{k}.tif", bright((40, 40), k))
    (here / "in" / "1.tif").write_bytes((here / "in" / "1.tif").read_bytes()[:500])
    write(here / "in" / "deep.tif", bright((5, 40, 40)))
    before = content(here / "in")
    said = seg("in", "--model", model, "--no-preview", "--json")
    assert said.code == 5
    assert said.error == "error: 2 of 4 images could not be used: 1, deep; the others are done"
    assert said.err.count("failed ") == 2
    assert content(here / "in") == before
    out = here / "in.seg"
    assert {n for n in names(out) if n.endswith(".tif")} == {"0.labels.tif", "2.labels.tif"}
    record = json.loads(said.out)
    assert [bool(image["error"]) for image in record["images"]] == [False, True, False, True]


def test_equal_names_keep_their_folders(model, here: Path, seg) -> None:
    arrays = {name: bright((40, 40), k) for k, name in enumerate(("a", "b"))}
    for name, array in arrays.items():
        write(here / "in" / name / "cells.tif", array)
    assert seg("in", "--model", model, "-o", "out", "--no-preview").code == 0
    for name, array in arrays.items():
        assert io.read_instances(here / "out" / name / "cells.zarr") == wanted(array)


def test_a_split_of_a_data_set_can_be_run(model, here: Path, seg) -> None:
    data = nuclei(here / "data", train=2, val=1)
    assert seg(f"{data}:train", "--model", model, "-o", "out", "--no-preview").code == 0
    assert {n for n in names(here / "out") if n.endswith(".tif")} == {"t0.labels.tif", "t1.labels.tif"}


@pytest.mark.parametrize("value", [0, 9])
def test_a_constant_image_has_no_objects_and_is_no_error(value: int, model, here: Path, seg) -> None:
    write(here / "a.tif", np.full((40, 50), value, np.uint16))
    said = seg("a.tif", "--model", model)
    assert said.code == 0
    assert "0 objects" in said.err
    assert not tifffile.imread(here / "a.seg" / "a.labels.tif").any()
    assert len((here / "a.seg" / "a.objects.csv").read_text().splitlines()) == 1


def test_values_that_are_no_numbers_are_background_and_said_once(model, here: Path, seg) -> None:
    array = bright((40, 50)).astype(np.float32)
    array[3, 4:7] = np.nan, np.inf, -np.inf
    write(here / "a.tif", array)
    said = seg("a.tif", "--model", model)
    assert said.code == 0
    assert said.err.count("3 values are not finite and were taken as 0") == 1
    array[3, 4:7] = 0
    assert io.read_instances(here / "a.seg" / "a.zarr") == wanted(array)


def test_what_is_seen_is_said_and_channels_that_differ_are_counted(model, here: Path, seg) -> None:
    nuclei, dark = bright((40, 50)), np.zeros((40, 50), np.uint8)
    for name, order in (("blue", (dark, dark, nuclei)), ("green", (dark, nuclei, dark))):
        (here / "in").mkdir(exist_ok=True)
        tifffile.imwrite(here / "in" / f"{name}.tif", np.stack(order, -1), photometric="rgb")
    write(here / "in" / "grey.tif", nuclei, imagej=True, resolution=(2, 2), metadata={"unit": "um"})
    said = seg("in/blue.tif", "--model", model, "-o", "one")
    assert "image blue yx 40×50 channel 2 of 3, the only one that is not flat pixel size unknown" in said.told
    assert io.read_instances(here / "one" / "blue.zarr") == wanted(nuclei)
    said = seg("in", "--model", model, "-o", "all")
    assert "not the same is seen of all images: 1 × channel 2 of 3" in said.told
    assert all(io.read_instances(here / "all" / f"{n}.zarr") == wanted(nuclei) for n in ("blue", "green", "grey"))
    assert "channel 0 of 1 pixel size 0.5 µm (ImageJ)" in seg("in/grey.tif", "--model", model, "-o", "grey").told
    seen = [image["seen"] for image in json.loads((here / "all" / "run.json").read_text())["images"]]
    assert seen[2] == "channel 0 of 1"


def test_a_channel_can_be_named_and_no_object_gets_a_hint(model, here: Path, seg) -> None:
    nuclei = bright((40, 50))
    tifffile.imwrite(here / "a.ome.tif", np.stack([np.full_like(nuclei, 7), nuclei]),
                     metadata={"axes": "CYX", "Channel": {"Name": ["empty", "cells"]}})  # fmt: skip
    said = seg("a.ome.tif", "--model", model, "--channel", "Cells", "-o", "name")
    assert "channel 1 (cells) of 2" in said.told
    assert io.read_instances(here / "name" / "a.zarr") == wanted(nuclei)
    said = seg("a.ome.tif", "--model", model, "--channel", "0", "-o", "number")
    assert "this channel is flat, but channel 1 (cells) of 2 is not: say --channel 1" in said.told
    assert "no object was found in channel 0 (empty) of 2; try another --channel" in said.told
    again = seg("--from", "name/run.json", "-o", "again")
    assert "channel 1 (cells) of 2" in again.told


@pytest.mark.parametrize("together", [True, False])
def test_a_time_series_is_run_frame_by_frame_with_one_scale(together: bool, model, here: Path, seg) -> None:
    nuclei = bright((40, 50))
    frames = np.stack([nuclei, nuclei // 4])
    tifffile.imwrite(here / "a.tif", frames, imagej=True, metadata={"axes": "TYX"})
    said = seg("a.tif", "--model", model, "--set", f"normalise.together={together}".lower())
    assert "2 frames, yx 40×50" in said.told
    found = io.read_instances(here / "a.seg" / "a.zarr")
    first = len(wanted(nuclei))
    assert found.shape == frames.shape
    assert len(found) == (first if together else 2 * first)
    rows = list(csv.DictReader((here / "a.seg" / "a.objects.csv").read_text().splitlines()))
    assert [row["frame"] for row in rows] == ["0"] * first + ["1"] * (0 if together else first)
    assert tifffile.imread(here / "a.seg" / "a.labels.tif").shape == frames.shape


def test_chunks_that_are_not_stored_are_counted_and_refused_where_that_is_asked(model, here: Path, seg) -> None:
    array = bright((40, 50))
    made = zarr.create_array(here / "a.zarr", shape=array.shape, chunks=(20, 25), dtype="u1", zarr_format=2)
    made[...] = array
    (here / "a.zarr" / "1.1").unlink()
    assert "1 of 4 chunks are not stored and read as empty" in seg("a.zarr", "--model", model).told
    said = seg("a.zarr", "--model", model, "--strict", "-o", "strict")
    assert said.code == 5
    assert "1 chunks are not stored" in said.error


def test_files_that_are_not_read_are_named(model, here: Path, seg) -> None:
    (here / "in").mkdir()
    write(here / "in" / "a.tif", bright((40, 50)))
    for name in ("x.oib", "notes.txt"):
        (here / "in" / name).write_text("text")
    assert "note 2 skipped: x.oib (pip install bioio-bioformats), notes.txt" in seg("in", "--model", model).told


def test_more_objects_than_16_bits_get_wider_ids(here: Path, tmp_path: Path, seg) -> None:
    large = see_through(tmp_path / "large", tiling={"window": [520, 520], "overlap": 0}, training={"crop": [520, 520]})
    array = np.zeros((520, 520), np.uint8)
    array[::2, ::2] = 255
    write(here / "a.tif", array)
    said = seg("a.tif", "--model", large, "--no-preview")
    assert said.code == 0
    assert tifffile.imread(here / "a.seg" / "a.labels.tif").dtype == np.uint32
    assert json.loads((here / "a.seg" / "run.json").read_text())["images"][0]["objects"] == 260 * 260 > 2**16


def spoil(folder: Path) -> None:
    """Inputs of all kinds of badness, and a good one."""
    good = write(folder / "good.tif", bright((40, 40))).read_bytes()
    write(folder / "nan.tif", np.full((20, 20), np.nan, np.float32))
    write(folder / "deep.tif", bright((6, 20, 20)))
    tifffile.imwrite(folder / "colour.tif", np.stack([bright((40, 40))] * 3, -1), photometric="rgb")
    write(folder / "two.tif", np.stack([bright((40, 40))] * 2), metadata={"axes": "CYX"})
    (folder / "cut.tif").write_bytes(good[: len(good) // 2])
    (folder / "text.tif").write_text("no image")
    (folder / "empty").mkdir()
    (folder / "file").write_text("in the way")


BAD = {
    "missing file": (["none.tif"], 5, "no such file or folder: none.tif"),
    "no match": (["*.png"], 5, "no image matches this pattern"),
    "empty folder": (["empty"], 5, "this folder holds no image: empty"),
    "cut file": (["cut.tif"], 5, "cut.tif"),
    "no image": (["text.tif"], 5, "text.tif"),
    "all NaN": (["nan.tif"], 5, "no voxel has a finite value"),
    "too many axes": (["deep.tif"], 5, "the model works on 2-D images and this one is 3-D"),
    "absent channel": (
        ["good.tif", "--set", "input.channels=[3]"],
        5,
        "there is no channel 3, the image has 1 channel",
    ),
    "colour wanted": (["two.tif", "--channel", "haematoxylin"], 5, "needs red, green and blue"),
    "no such name": (["good.tif", "--channel", "DAPI"], 5, "there is no channel called 'DAPI'"),
    "two channels": (["good.tif", "--set", "input.channels=[0,0]"], 2, "the model takes 1 channel"),
    "all channels": (["colour.tif", "--set", "input.channels=all"], 5, "takes 1 channel(s) and this image has 3"),
    "no input": ([], 5, "no image was given"),
    "unknown split": (["empty:tset"], 2, "no split 'tset'"),
    "unknown plugin": (["good.tif", "--plugin", "builtn"], 2, "did you mean 'builtin'?"),
    "unknown model": (["good.tif", "--model", "no-such-model-here"], 2, "no-such-model-here"),
    "unknown section": (["good.tif", "--set", "postproces.min_size=3"], 2, "did you mean 'postprocess'?"),
    "unknown key": (["good.tif", "--set", "postprocess.min_sice=3"], 2, "did you mean 'min_size'?"),
    "unknown kind": (["good.tif", "--set", "postprocess=treshold"], 2, "did you mean 'threshold'?"),
    "bad value": (["good.tif", "--set", "postprocess.min_size=-3"], 2, "postprocess.min_size"),
    "no value": (["good.tif", "--set", "postprocess"], 2, "--set postprocess"),
    "another network": (["good.tif", "--set", "network.maps=[2,2]"], 2, "network and heads are fixed"),
    "unfit window": (["good.tif", "--set", "tiling.window=[32,32,32]"], 2, "training.crop has 2 axes"),
    "unfit spacing": (["good.tif", "--set", "input.spacing_um=[1,1,1]"], 2, "input.spacing_um needs 2 numbers"),
    "unfit overlap": (["good.tif", "--set", "tiling.overlap=[4,4,4]"], 2, "overlap needs 2 numbers"),
    "overlap above window": (["good.tif", "--set", "tiling.overlap=32"], 2, "overlap must be smaller than window"),
    "absent device": (["good.tif", "--device", "cuda:7"], 2, "cuda:7"),
    "bad voxel size": (["good.tif", "--voxel-size", "0"], 2, "a voxel size is numbers above 0"),
    "bad axes": (["good.tif", "--axes", "YQW"], 2, "these axes make no sense"),
    "bad block": (["good.tif", "--block", "0"], 2, "--block"),
    "bad option": (["good.tif", "--blok", "64"], 2, "--blok"),
    "file in the way": (["good.tif", "-o", "file/out"], 7, "cannot write the output"),
    "name too long": (["good.tif", "-o", "x" * 300], 7, "cannot write the output"),
    "file as output": (["good.tif", "-o", "file", "--overwrite"], 2, "no output of a run"),
    "record of nothing": (["--from", "text.tif"], 5, "no record of a run"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_mistake_is_one_sentence_and_leaves_nothing(case: str, model, here: Path, capfd) -> None:
    arguments, code, part = BAD[case]
    spoil(here)
    before = content(here)
    chosen = [] if {"--model", "--plugin", "--from"} & set(arguments) else ["--model", str(model)]
    found = main(["run", *arguments, *chosen, "--workers", "1"])
    said = Said(found, *capfd.readouterr())
    assert part in said.error
    assert said.code == code, said.error
    assert said.out == ""
    assert content(here) == before


def test_without_a_method_the_model_that_suits_best_runs_and_is_recorded(here: Path, seg) -> None:
    write(here / "a.tif", bright((40, 40)))
    said = seg("a.tif", "-o", "chosen")
    assert said.code == 0, said.err
    assert "chosen nuclei, bright on dark: S@0.50" in said.err
    record = json.loads((here / "chosen" / "run.json").read_text())
    assert record["model"]["reference"] == "embedseg:embedseg"
    assert seg("a.tif", "--plugin", "embedseg", "-o", "named").code == 0
    assert (here / "named" / "a.labels.tif").read_bytes() == (here / "chosen" / "a.labels.tif").read_bytes()


def test_a_volume_is_run_by_a_2d_model_on_its_planes(here: Path, seg) -> None:
    write(here / "a.tif", bright((12, 40, 40)))
    small = ("--set", "tiling.window=[16,48,48]", "--set", "tiling.overlap=[4,8,8]")
    said = seg("a.tif", "--voxel-size", "1.5,0.5,0.5", "--dry-run", *small)
    assert said.code == 0, said.err
    assert "recipe embedseg-3d-sliced with network.anisotropy=[3.0, 1.0, 1.0]" in said.err
    said = seg("a.tif", "--plugin", "embedseg", "-o", "out", *small)
    assert said.code == 0, said.err
    assert json.loads((here / "out" / "run.json").read_text())["recipe"]["name"] == "embedseg-3d-sliced"
    assert seg("--from", "out/run.json", "-o", "again").code == 0
    assert (here / "again" / "a.labels.tif").read_bytes() == (here / "out" / "a.labels.tif").read_bytes()


def test_an_image_that_no_model_suits_is_a_sentence(here: Path, seg, monkeypatch) -> None:
    monkeypatch.setenv("TOOLKIT_PLUGINS", "builtin")
    write(here / "a.tif", bright((12, 40, 40)))
    said = seg("a.tif")
    assert said.code == 2
    assert said.error.startswith("error: no installed model says that it suits this image: a (3-D, 1 channel)")


NOWHERE = """
import sys
import numba.core.caching as caching
caching.CompileResultCacheImpl._locator_classes = []
from toolkit.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow
def test_a_container_without_a_writable_home_or_cache_runs(here: Path) -> None:
    write(here / "a.tif", bright((40, 40)))
    nowhere = dict.fromkeys(("HOME", "SEG_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"), "/dev/null/nowhere")
    command = [sys.executable, "-c", NOWHERE, "run", "a.tif", "--plugin", "embedseg", "-o", "out", "--workers", "1"]
    done = subprocess.run(command, env={**os.environ, **nowhere}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (here / "out" / "a.labels.tif").is_file()


KILLED = """
import os, signal, sys
sys.path.insert(0, {root!r})
from toolkit.cli import main
from toolkit.running.workspace import Workspace
finish, calls = Workspace.finish, []

def counted(space, key, row):
    if {before!r}:
        calls.append(key)
        if len(calls) == {count}:
            os.kill(os.getpid(), signal.SIGKILL)
    finish(space, key, row)
    if not {before!r}:
        calls.append(key)
        if len(calls) == {count}:
            os.kill(os.getpid(), signal.SIGKILL)

Workspace.finish = counted
main(sys.argv[1:])
"""


@pytest.mark.slow
@pytest.mark.parametrize(("count", "before"), [(1, True), (2, False)])
def test_a_run_that_was_killed_is_resumed_with_the_same_bytes(count: int, before: bool, model, here: Path, seg) -> None:
    for k in range(3):
        write(here / "in" / f"{k}.tif", bright((60, 50), k))
    arguments = ["in", "--model", str(model), "--no-preview", "--workers", "1"]
    assert seg(*arguments, "-o", "whole").code == 0
    script = KILLED.format(root=str(ROOT), before=before, count=count)
    killed = subprocess.run(
        [sys.executable, "-c", script, "run", *arguments, "-o", "out"], env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    assert killed.returncode == -signal.SIGKILL
    assert not (here / "out").exists()
    finished = {p: p.stat().st_mtime_ns for p in (here / "out.work" / "result").glob("0*.tif")}
    said = seg(*arguments, "-o", "out", "--resume")
    assert said.code == 0, said.err
    assert content(here / "out") == content(here / "whole")
    assert names(here) == ["in", "out", "whole"]
    if not before:
        ((path, time),) = finished.items()
        assert (here / "out" / path.name).stat().st_mtime_ns == time  # kept, not made again


@contextmanager
def stopped(monkeypatch: pytest.MonkeyPatch, after: int, error: BaseException) -> Iterator[None]:
    """The run ends in `error` when that many images are finished."""
    from toolkit.running import run

    done = []

    def one_image(*arguments: Any) -> Any:
        if len(done) == after:
            raise error
        done.append(1)
        return original(*arguments)

    original = run.one_image
    with monkeypatch.context() as patch:
        patch.setattr(run, "one_image", one_image)
        yield


def three(here: Path) -> None:
    for k in range(3):
        write(here / "in" / f"{k}.tif", bright((60, 50), k))


def test_an_interrupted_run_says_what_is_kept_and_goes_on_from_there(model, here: Path, seg, monkeypatch) -> None:
    three(here)
    assert seg("in", "--model", model, "-o", "whole", "--no-preview").code == 0
    with stopped(monkeypatch, 2, KeyboardInterrupt()):
        said = seg("in", "--model", model, "-o", "out", "--no-preview")
    assert said.code == 130
    assert said.error == "error: interrupted: out; 2 of 3 images are done and kept for --resume"
    assert names(here) == ["in", "out.work", "whole"]
    with stopped(monkeypatch, 1, AssertionError()):  # one image is left to do, and no more
        assert seg("in", "--model", model, "-o", "out", "--no-preview", "--resume").code == 0
    assert content(here / "out") == content(here / "whole")


def test_an_interruption_before_the_first_image_leaves_nothing(model, here: Path, seg, monkeypatch) -> None:
    three(here)
    with stopped(monkeypatch, 0, KeyboardInterrupt()):
        said = seg("in", "--model", model, "-o", "out")
    assert (said.code, said.error) == (130, "error: interrupted: out")
    assert names(here) == ["in"]


@pytest.mark.parametrize("what", ["model", "recipe.postprocess.min_size", "inputs", "--no-preview"])
def test_a_resumed_run_must_be_the_same_run(what: str, model, here: Path, seg, monkeypatch) -> None:
    three(here)
    shutil.copytree(model, here / "mine")
    with stopped(monkeypatch, 1, KeyboardInterrupt()):
        assert seg("in", "--model", "mine", "-o", "out").code == 130
    more = []
    if what == "model":
        weights = here / "mine" / "best.safetensors"
        weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    elif what == "inputs":
        write(here / "in" / "2.tif", bright((60, 50), 77))
    else:
        more = ["--no-preview"] if what == "--no-preview" else ["--set", "postprocess.min_size=5"]
    said = seg("in", "--model", "mine", "-o", "out", "--resume", *more)
    assert said.code == 2
    assert f"the run to resume was begun with something else: {what}; run it as before" in said.error
    assert (here / "out.work").is_dir()


def test_a_run_may_be_resumed_with_other_blocks_where_they_change_nothing(model, here: Path, seg, monkeypatch) -> None:
    three(here)
    with stopped(monkeypatch, 1, MemoryError()):
        assert seg("in", "--model", model, "-o", "out").code == 6
    assert seg("in", "--model", model, "-o", "out", "--resume", "--block", "40", "--workers", "1").code == 0


def full(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_is_said_and_what_was_done_is_kept(model, here: Path, seg, monkeypatch) -> None:
    three(here)
    writes = []

    def fill(*arguments: Any, **options: Any) -> Any:
        writes.append(1)
        return original(*arguments, **options) if len(writes) < 3 else full()

    from toolkit.io import tifflabels

    original = tifflabels.write_tiff
    monkeypatch.setattr(tifflabels, "write_tiff", fill)
    said = seg("in", "--model", model, "-o", "out")
    monkeypatch.undo()
    assert said.code == 7
    assert "No space left on device" in said.error
    assert said.error.endswith("2 of 3 images are done and kept for --resume")
    monkeypatch.chdir(here)
    assert seg("in", "--model", model, "-o", "out", "--resume").code == 0
    assert len(list((here / "out").glob("*.labels.tif"))) == 3


def test_an_error_of_another_form_says_what_is_kept_and_stays_what_it_is(
    model, here: Path, seg, monkeypatch: pytest.MonkeyPatch
) -> None:
    from toolkit.io import tifflabels

    class Odd(StorageError):
        def __init__(self, number: int) -> None:
            super().__init__(f"fault {number}", "disk odd", "ask its maker")

    three(here)
    original, calls = tifflabels.write_tiff, []

    def fail(*arguments: Any) -> None:
        calls.append(arguments)
        if len(calls) == 3:
            raise Odd(7)
        original(*arguments)

    monkeypatch.setattr(tifflabels, "write_tiff", fail)
    said = seg("in", "--model", model, "-o", "out")
    assert said.code == 7
    assert said.error == "error: fault 7: disk odd; ask its maker; 2 of 3 images are done and kept for --resume"


def test_a_plugin_that_fails_on_one_image_is_named_and_the_others_are_done(
    model, here: Path, seg, monkeypatch: pytest.MonkeyPatch
) -> None:
    from toolkit.builtin.postprocessors import threshold

    three(here)
    parts, calls = threshold.parts, []

    def fail(piece: Voxels, values: Any) -> Any:
        if piece.box.shape == piece.shape:  # a whole image: windows are those of the plan
            calls.append(piece)
        return parts(piece, values) if len(calls) != 2 else [][1]

    monkeypatch.setattr(threshold, "parts", fail)
    said = seg("in", "--model", model, "-o", "out", "--workers", "1")
    assert said.code == 9
    assert "1 of 3 images could not be used" in said.error
    assert "threshold failed: IndexError: list index out of range" in said.err
    assert "Threshold.passes, local 1" in said.err
    assert len(list((here / "out").glob("*.labels.tif"))) == 2


SMALL = 300 * 1024


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[tuple[Path, bool]]:
    """A folder, and whether it is a disk of its own that holds `SMALL` bytes: mounting takes privileges."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SMALL}", "tmpfs", folder], capture_output=True)
    yield folder, mounted.returncode == 0
    if mounted.returncode == 0:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.linux
def test_a_disk_that_is_really_full_is_said(model, here: Path, disk: tuple[Path, bool], seg) -> None:
    three(here)
    write(here / "in" / "9.tif", np.random.default_rng(0).integers(0, 256, (700, 700)).astype(np.uint8))
    folder, mounted = disk
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        if not mounted:  # the next best thing that a kernel refuses
            resource.setrlimit(resource.RLIMIT_FSIZE, (SMALL, limits[1]))
        said = seg("in", "--model", model, "-o", folder / "out", "--no-preview")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert said.code == 7
    assert ("No space left on device" if mounted else "File too large") in said.error
    assert not (folder / "out").exists()


@pytest.mark.linux
def test_a_disk_that_may_only_be_read_is_said(model, here: Path, disk: tuple[Path, bool], seg) -> None:
    write(here / "a.tif", bright((40, 40)))
    folder, mounted = disk
    if mounted:
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
    elif os.geteuid() == 0:  # who may do everything, but mount: in a container
        folder = Path("/sys")
    else:
        folder.chmod(0o555)
    said = seg("a.tif", "--model", model, "-o", folder / "out")
    assert said.code == 7
    assert re.search("Read-only file system|Permission denied|Operation not permitted", said.error)


@pytest.mark.slow
def test_processes_over_images_and_over_blocks_give_the_bytes_of_one(model, here: Path, seg) -> None:
    three(here)
    arguments = ["--model", str(model), "--no-preview", "--block", "32"]
    assert seg("in", *arguments, "-o", "one").code == 0
    assert seg("in", *arguments, "-o", "images", "--workers", "2").code == 0
    assert seg("in/0.tif", *arguments, "-o", "blocks", "--workers", "2").code == 0
    one = content(here / "one")
    assert content(here / "images") == one
    assert content(here / "blocks") == {name: data for name, data in one.items() if name.startswith("0.")}


def test_more_columns_and_a_lowest_score_are_asked_for(model, here: Path, seg) -> None:
    write(here / "a.tif", bright((40, 50)))
    usual = seg("a.tif", "--model", model, "-o", "usual")
    assert usual.code == 0
    assert "perimeter_px" not in (here / "usual" / "a.objects.csv").read_text()
    assert seg("a.tif", "--model", model, "-o", "more", "--features", "shape,intensity").code == 0
    rows = list(csv.DictReader((here / "more" / "a.objects.csv").read_text().splitlines()))
    assert {"perimeter_px", "solidity", "deviation_0"} <= {*rows[0]}
    least = sorted(float(row["score"]) for row in rows)[1]
    assert seg("a.tif", "--model", model, "-o", "sure", "--min-score", least).code == 0
    found = io.read_instances(here / "sure" / "a.zarr")
    assert len(found) == sum(float(row["score"]) >= least for row in rows)
    assert (found.scores >= least).all()
    wrong = seg("a.tif", "--model", model, "-o", "wrong", "--features", "shap")
    assert (wrong.code, "did you mean 'shape'" in wrong.error) == (2, True)
    again = seg("--from", "more/run.json", "-o", "again")
    assert (here / "again" / "a.objects.csv").read_bytes() == (here / "more" / "a.objects.csv").read_bytes()
    assert again.code == 0


def test_without_pyarrow_parquet_is_a_sentence_with_what_to_install(model, here: Path, seg, monkeypatch) -> None:
    write(here / "a.tif", bright((40, 50)))
    monkeypatch.setattr("toolkit.io.table.find_spec", lambda name: None)
    said = seg("a.tif", "--model", model, "--parquet")
    assert said.code == 2
    assert "pip install 'seg-toolkit[tables]'" in said.error


def test_a_table_is_written_as_parquet_too(model, here: Path, seg) -> None:
    from pyarrow import parquet

    write(here / "a.tif", bright((40, 50)))
    assert seg("a.tif", "--model", model, "--parquet").code == 0
    table = parquet.read_table(here / "a.seg" / "a.objects.parquet").to_pydict()
    rows = list(csv.DictReader((here / "a.seg" / "a.objects.csv").read_text().splitlines()))
    assert table["id"] == [int(row["id"]) for row in rows]
    assert table["area_um2"] == [None] * len(rows)
    assert table["mean_0"] == pytest.approx([float(row["mean_0"]) for row in rows])


def test_of_many_images_the_first_get_a_picture(model, here: Path, seg, monkeypatch) -> None:
    monkeypatch.setattr("toolkit.running.run.PREVIEWS", 2)
    for name in "abcd":
        write(here / "in" / f"{name}.tif", bright((40, 50)))
    assert seg("in", "--model", model).code == 0
    assert sorted(p.name for p in (here / "in.seg").glob("*.png")) == ["a.overlay.png", "b.overlay.png"]
