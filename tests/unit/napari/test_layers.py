"""What napari is given and what comes back from it; nothing here needs napari."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile
import yaml

from tests.unit.correct.results import found, result, save
from toolkit import io
from toolkit.cli import main
from toolkit.correct.correct import correct
from toolkit.correct.result import opened
from toolkit.errors import InputError, UsageError
from toolkit.io import write as write_result
from toolkit.io.paths import OUTPUTS
from toolkit.napari import layers, writer
from toolkit.napari.controls import controls
from toolkit.napari.reader import reader, result_at
from toolkit.napari.segmenting import Cancelled, Segmenting, image_of, models
from toolkit.plugins.catalogue import Catalogue
from toolkit.steps.measure import measure
from toolkit.values.image import Image
from toolkit.values.instances import Instances

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return result(tmp_path_factory.mktemp("made"))


@pytest.fixture
def out(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "images.seg"))


def overlapping(out: Path, name: str = "a") -> Instances:
    """Gives an image of a result two objects that share voxels, so that there are two layers."""
    labels = found(out, name)
    planes = np.stack([labels == k for k in np.unique(labels[labels > 0])])
    planes = np.concatenate([planes, np.zeros((1, *labels.shape), bool)])
    planes[-1, 5:30, 5:30] = True
    objects, image = Instances.from_planes(planes), io.read(opened(out).image(name).input)
    write_result(out, name, objects, image, measure(objects, image))
    return objects


def test_the_manifest_names_what_is_there() -> None:
    manifest = yaml.safe_load((ROOT / "toolkit" / "napari" / "napari.yaml").read_text())
    for command in manifest["contributions"]["commands"]:
        module, name = command["python_name"].split(":")
        source = (ROOT / Path(*module.split("."))).with_suffix(".py").read_text()
        assert f"def {name}(" in source or f"class {name}(" in source
    used = [entry["command"] for kind in ("readers", "writers", "widgets") for entry in manifest["contributions"][kind]]
    assert sorted(used) == sorted(c["id"] for c in manifest["contributions"]["commands"])
    # No other file makes napari ask whether it is ours.
    patterns = manifest["contributions"]["readers"][0]["filename_patterns"]
    assert {pattern.removeprefix("*") for pattern in patterns} == {".zarr", *OUTPUTS}


@pytest.mark.parametrize("what", ["", "a.zarr", "a.labels.tif", "a.objects.csv", "run.json/.."])
def test_a_result_and_each_of_its_files_is_opened_as_image_and_objects(what: str, out: Path) -> None:
    path = out if what in ("", "run.json/..") else out / what
    read = reader(str(path))
    assert read is not None
    (voxels, seen, kind), (labels, about, other) = read(str(path))
    assert (kind, other) == ("image", "labels")
    assert np.array_equal(voxels, tifffile.imread(out.parent / "images" / "a.tif") if (out.parent / "images").is_dir()
                          else io.read(opened(out).image("a").input).read()[0])  # fmt: skip
    assert np.array_equal(labels, found(out, "a"))
    assert labels.dtype == np.int32
    assert about["visible"]
    assert about["scale"] == seen["scale"]
    assert list(about["features"]["index"]) == list(range(1, labels.max() + 1))
    assert list(about["features"]["id"]) == list(about["features"]["index"])
    assert about["features"]["area_px"].sum() == (labels > 0).sum()


def test_what_is_no_result_is_left_to_others(out: Path, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "x.tif", np.zeros((9, 9), np.uint8))
    tifffile.imwrite(out / "x.labels.tif", np.zeros((9, 9), np.uint8))
    for path in (tmp_path, tmp_path / "x.tif", out / "x.labels.tif", tmp_path / "gone.zarr"):
        assert reader(str(path)) is None
    assert reader([str(out / "b.zarr"), str(out / "a.zarr")]) is not None
    there = result_at(out / "b.zarr")
    assert there is not None
    assert there[1].name == "b"


def test_each_layer_of_overlapping_objects_is_a_layer_with_its_own_rows(out: Path) -> None:
    objects = overlapping(out)
    _, *labels = layers.shown(opened(out), opened(out).image("a"))
    assert len(labels) == 2
    rows = [set(about["features"]["index"].tolist()) for _, about, _ in labels]
    assert rows[0] | rows[1] == set(range(1, len(objects) + 1))
    for (data, _, _), ids in zip(labels, rows, strict=True):
        assert set(np.unique(data[data > 0]).tolist()) == ids


def test_colours_and_channels_are_shown_as_such(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    colours = np.random.default_rng(0).integers(0, 255, (20, 24, 3)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "images" / "rgb.tif", colours, photometric="rgb")
    image = io.read(tmp_path / "images" / "rgb.tif")
    segmented = opened_image(tmp_path, image, tmp_path / "images" / "rgb.tif")
    data, about, _ = layers._image(segmented, (image,))
    assert about["rgb"]
    assert np.array_equal(data, colours)
    named = Image(np.moveaxis(colours, -1, 0), "CYX", channel_names=("a", "b", "c"))
    data, about, _ = layers._image(segmented, (named,))
    assert about["channel_axis"] == 0
    assert about["name"] == ["rgb a", "rgb b", "rgb c"]


def opened_image(folder: Path, image: Image, path: Path) -> layers.Segmented:
    return layers.Segmented("rgb", path, "", image.shape, folder / "rgb.zarr")


def test_what_was_edited_is_saved_where_it_is_looked_for_and_opened_again(out: Path) -> None:
    overlapping(out)
    _, *labels = layers.shown(opened(out), opened(out).image("a"))
    edit = [data.copy() for data, _, _ in labels]
    edit[1][40:46, 40:46] = int(edit[1].max()) + 1  # as napari counts in one layer alone: an id of the other
    clash = int(edit[1].max())
    assert clash in edit[0] or clash > edit[0].max()
    told = [(data, about, "labels") for data, (_, about, _) in zip(edit, labels, strict=True)]
    (path,) = writer.write("anywhere.corrections", told)
    assert Path(path) == opened(out).corrections / "a.tif"
    (one,) = correct(opened(out)).images
    assert one.error is None
    done = one.changes
    assert done is not None
    assert (done.added, done.removed, done.changed) == (1, 0, 0)
    again = layers.shown(opened(out), opened(out).image("a"))[1:]
    assert [(d > 0).sum() for d, _, _ in again] == [(d > 0).sum() for d in edit]
    assert writer.write("b.tif", [(d, a, k) for d, a, k in again]) == [path]


def test_two_layers_never_share_an_id_and_the_former_owner_keeps_it() -> None:
    before = np.array([[[1, 1, 0, 0, 3]], [[0, 2, 2, 0, 0]]])
    edit = np.array([[[1, 1, 0, 0, 3]], [[0, 2, 2, 3, 0]]], np.int32)
    assert writer.apart(edit, before).tolist() == [[[1, 1, 0, 0, 3]], [[0, 2, 2, 4, 0]]]
    edit = np.array([[[1, 1, 0, 2, 3]], [[0, 2, 2, 0, 0]]], np.int32)
    assert writer.apart(edit, before).tolist() == [[[1, 1, 0, 4, 3]], [[0, 2, 2, 0, 0]]]


def test_layers_of_no_result_or_not_all_of_them_are_refused(out: Path) -> None:
    overlapping(out)
    _, *labels = layers.shown(opened(out), opened(out).image("a"))
    with pytest.raises(UsageError, match="a layer of objects is missing"):
        writer.write("a.tif", labels[:1])
    with pytest.raises(UsageError, match="of no result, or of several images"):
        writer.write("a.tif", [(labels[0][0], {}, "labels")])
    with pytest.raises(UsageError, match="of no result, or of several images"):
        writer.write("a.tif", [*labels, *layers.shown(opened(out), opened(out).image("b"))[1:]])
    save(out, "a", found(out, "a")).rename(opened(out).corrections / "a.png")
    (opened(out).corrections / "a.png").unlink()
    (opened(out).corrections / "a.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": []}))
    with pytest.raises(UsageError, match="corrected in a file of another program"):
        writer.place(opened(out), opened(out).image("a"))


def test_layers_are_not_saved_through_a_link(out: Path, tmp_path: Path) -> None:
    _, *labels = layers.shown(opened(out), opened(out).image("a"))
    (tmp_path / "own").mkdir()
    opened(out).corrections.symlink_to(tmp_path / "own")
    with pytest.raises(UsageError, match="a link is not written through"):
        writer.write("a.tif", labels)
    assert list((tmp_path / "own").iterdir()) == []


def test_every_field_that_can_be_tuned_has_a_control_in_its_range() -> None:
    catalogue = Catalogue()
    seen = set()
    for name, kind in catalogue.collect("postprocessors").items():
        found = controls(kind())
        assert [one.field for one in found] == list(kind.tunable()), name
        for one in found:
            how = kind.tunable()[one.field]
            seen.add(one.kind)
            if how.choices:
                assert tuple(one.options["choices"]) == how.choices
            else:
                assert one.options["min"] <= how.low <= how.high <= one.options["max"]
                assert one.options["min"] <= one.value <= one.options["max"]
    assert {"Slider", "FloatSlider"} <= seen


def test_objects_follow_the_sliders_without_another_prediction_and_the_command_gives_the_same(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = made.parent / "images" / "a.tif"
    work = Segmenting(str(made.parent / "model"), image_of(tifffile.imread(path), False, np.ones(2), "a"), "cpu")
    heard = []
    work.predict(lambda *how: heard.append(how))
    assert ("pieces", 4, 4) in heard or any(stage == "windows" for stage, *_ in heard) or heard
    monkeypatch.setattr(work.session, "pieces", None)
    few = work.objects({"min_size": 40})
    assert 0 < len(few) < len(work.objects({"min_size": 1}))
    command = work.command(str(path), {"min_size": 40, "foreground": 0.5})
    assert command == f"seg run {path} --model {made.parent / 'model'} --set postprocess.min_size=40"
    words = command.split()[1:]
    assert main([*words, "-o", str(tmp_path / "again"), "--no-preview", "--workers", "1"]) == 0
    assert io.read_instances(tmp_path / "again" / "a.zarr") == few


def test_who_does_not_want_to_wait_cancels(made: Path) -> None:
    image = image_of(tifffile.imread(made.parent / "images" / "a.tif"), False, np.ones(2), "a")
    work = Segmenting(str(made.parent / "model"), image, "cpu")

    def hear(*_: object) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        work.predict(hear)


def test_an_image_that_no_model_sees_is_refused() -> None:
    with pytest.raises(InputError, match="this layer has 4 axes"):
        image_of(np.zeros((2, 3, 4, 5)), False, np.ones(4), "x")
    seen = image_of(np.zeros((6, 7, 3), np.uint8), True, np.array([0.5, 0.5]), "x")
    assert (seen.channels, seen.shape, seen.voxel_size, seen.calibrated) == (3, (6, 7), (0.5, 0.5), True)
    assert models()


@pytest.mark.slow
def test_a_hundred_thousand_objects_are_read_in_seconds(tmp_path: Path) -> None:
    labels = np.zeros((1600, 1600), np.int32)
    ids = np.arange(1, 320 * 320 + 1).reshape(320, 320)
    for y in range(3):
        for x in range(3):
            labels[1 + y :: 5, 1 + x :: 5] = ids
    objects = Instances.from_labels(labels)
    (tmp_path / "images").mkdir()
    tifffile.imwrite(tmp_path / "images" / "a.tif", (labels > 0).astype(np.uint8))
    image, out = io.read(tmp_path / "images" / "a.tif"), tmp_path / "out"
    files = write_result(out, "a", objects, image, measure(objects, image))
    about = {"stem": "a", "input": str(tmp_path / "images" / "a.tif"), "sha256": "", "shape": [1600, 1600],
             "files": [f.name for f in files]}  # fmt: skip
    (out / "run.json").write_text(json.dumps({"images": [about], "options": {}, "model": {}, "recipe": {}}))
    began = time.process_time()
    _, (_, said, _) = layers.shown(*result_at(out))  # type: ignore[misc]
    spent = time.process_time() - began
    assert len(said["features"]["index"]) == 320 * 320
    assert spent < 6, spent  # the promise is 3 s on a quiet machine


def test_without_napari_the_line_of_pip_is_said(
    out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from toolkit.napari import viewer

    monkeypatch.setattr(viewer, "find_spec", lambda name: None)
    assert main(["correct", str(out), "--napari"]) == 2
    assert "napari is not installed: --napari; pip install 'seg-toolkit[napari]'" in capsys.readouterr().err
