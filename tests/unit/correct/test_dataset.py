"""Corrections become a data set that says what is known and no more, with a part held back."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile

from tests.battery.writing import tree
from tests.samples import nuclei
from tests.unit.correct.results import found, result, save, without
from toolkit import io
from toolkit.check import check
from toolkit.correct.correct import correct
from toolkit.correct.dataset import build, held, lessons, write
from toolkit.correct.result import opened
from toolkit.errors import InputError, UsageError
from toolkit.values.image import Image
from toolkit.values.truth import UNANNOTATED, Truth

NAMES = ("a", "b", "c", "d", "e", "f")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Whole images, of which one was edited."""
    out = result(tmp_path_factory.mktemp("made"), NAMES)
    save(out, "a", without(found(out, "a")))
    correct(opened(out), right=NAMES)
    return out


@pytest.mark.parametrize("axes", ["CYX", "CZYX"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.int64, np.float16])
@pytest.mark.parametrize("layers", [1, 2])
def test_an_image_and_what_is_known_of_it_are_read_as_they_were(
    axes: str, channels: int, dtype: type, layers: int, tmp_path: Path
) -> None:
    shape = (5, 12, 14)[4 - len(axes) :]
    rng = np.random.default_rng(0)
    voxels = rng.integers(0, 100, (channels, *shape)).astype(dtype)
    names = ("DAPI", "actin", "x")[:channels]
    image = Image(voxels, axes, (0.5,) * len(shape), "i", True, channel_names=names)
    known = rng.integers(-1, 3, (layers, *shape)).astype(np.int32)
    known[1:] += 10 * (known[1:] > 0)
    for part in ("images", "masks"):
        (tmp_path / part).mkdir()
    write(tmp_path, "i", image, Truth.from_layers(known))
    (tmp_path / "meta.json").write_text(json.dumps({"masks": "L" + axes[1:]}))
    data = io.open_dataset(str(tmp_path))
    (item,) = data.items
    again = data.image(item)
    assert np.array_equal(again.read(), voxels)
    assert (again.axes, again.calibrated, again.channel_names) == (axes, True, names)
    assert again.voxel_size == pytest.approx((0.5,) * len(shape))
    assert np.array_equal(data.truth(item).layers, known)


def test_a_fifth_is_held_back_and_the_data_set_is_sound(made: Path, tmp_path: Path) -> None:
    record = build([made], tmp_path / "data")
    train, val = (io.open_dataset(f"{tmp_path / 'data'}:{split}") for split in ("train", "val"))
    assert (len(train.items), len(val.items)) == (5, 1)
    assert len(record["held"]) == 1
    assert not check(str(tmp_path / "data")).errors
    by_name = {row["name"]: Path(row["input"]).stem for row in record["images"]}
    for data in (train, val):
        for item in data.items:
            name = by_name[item.name]
            expected = without(found(made, "a")) if name == "a" else found(made, name)
            layers = data.truth(item).layers
            assert np.array_equal(layers.max(0) > 0, (expected if expected.ndim == 2 else expected.max(0)) > 0)
            assert (layers >= 0).all()
            assert np.array_equal(data.image(item).read()[0], tifffile.imread(made.parent / "images" / f"{name}.tif"))


def test_the_same_is_not_made_twice_and_another_one_is_refused(made: Path, tmp_path: Path) -> None:
    build([made], tmp_path / "data")
    before = tree(tmp_path / "data")
    build([made], tmp_path / "data")
    assert tree(tmp_path / "data") == before
    (tmp_path / "other").mkdir()
    with pytest.raises(UsageError, match="the output exists, and holds other corrections"):
        build([made], tmp_path / "other")


def test_what_was_held_back_stays_held_back(made: Path) -> None:
    every = lessons([made])
    keys = sorted(lesson.key for lesson in every)
    assert held(every) == {keys[0]}
    assert held(every, [keys[4]]) == {keys[4]}
    assert held(every, [keys[4], keys[2]]) == {keys[2], keys[4]}
    assert held(every, keys) == set(keys[:5])  # something must be left to learn from
    assert held(every[:1]) == set()


def test_of_a_single_image_one_half_judges_what_the_other_teaches(tmp_path: Path) -> None:
    out = result(tmp_path, ("a",))
    correct(opened(out), right=["a"])
    build([out], tmp_path / "data")
    one, other = (io.open_dataset(f"{tmp_path / 'data'}:{split}") for split in ("train", "val"))
    a, b = (data.truth(data.items[0]).layers for data in (one, other))
    middle = a.shape[-1] // 2
    assert (a[..., middle:] == UNANNOTATED).all()
    assert (b[..., :middle] == UNANNOTATED).all()
    everything = io.read_truth(out / "a.labels.tif").instances
    for layers in (a, b):
        for mask in Truth.from_layers(layers).instances:
            assert any(mask.size == object_.size and mask.box == object_.box for object_ in everything)


def test_old_data_is_learnt_from_too_as_often_but_not_what_was_corrected(made: Path, tmp_path: Path) -> None:
    old = nuclei(tmp_path / "old", train=30, val=2)
    shutil.copyfile(made.parent / "images" / "a.tif", old / "images" / "t0.tif")
    build([made], tmp_path / "data", str(old))
    train = io.open_dataset(f"{tmp_path / 'data'}:train")
    assert len(train.items) == 5 + 29
    assert len(io.open_dataset(f"{tmp_path / 'data'}:val").items) == 1
    ours = [item.weight for item in train.items if not item.name.startswith("old-")]
    assert sum(ours) == pytest.approx(29)
    assert {item.weight for item in train.items if item.name.startswith("old-")} == {1.0}


def test_what_the_model_saw_at_another_size_is_learnt_at_that_size(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made.parent, tmp_path / "all")
    record = tmp_path / "all" / "images.seg" / "run.json"
    plain = json.loads(record.read_text())
    for image in plain["images"]:
        image["size"] = {"by": [0.5, 0.5], "diameter_px": 10.0, "said": ""}
    record.write_text(json.dumps(plain))
    build([record.parent], tmp_path / "data")
    data = io.open_dataset(f"{tmp_path / 'data'}:train")
    for item in data.items:
        assert data.image(item).shape == data.truth(item).shape == (24, 28)
        assert data.image(item).dtype == np.uint8


def test_an_image_that_was_exchanged_is_noticed_and_nothing_to_learn_from_is_said(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made.parent, tmp_path / "all")
    out = tmp_path / "all" / "images.seg"
    record = json.loads((out / "run.json").read_text())
    for image in record["images"]:
        image["input"] = str(tmp_path / "all" / "images" / Path(image["input"]).name)
    (out / "run.json").write_text(json.dumps(record))
    shutil.copyfile(tmp_path / "all" / "images" / "b.tif", tmp_path / "all" / "images" / "c.tif")
    with pytest.raises(InputError, match="the image is not the one that was corrected"):
        build([out], tmp_path / "data")
    shutil.rmtree(opened(out).corrections)
    with pytest.raises(InputError, match="no corrections were merged"):
        build([out], tmp_path / "data")


@pytest.mark.parametrize("axes", ["TYX", "ZYX"])
def test_a_volume_is_one_lesson_and_a_series_as_many_as_it_has_images(axes: str, tmp_path: Path) -> None:
    out = result(tmp_path, ("a",), (5, 32, 40), axes)
    labels = found(out, "a")
    gone = np.unique(labels[2][labels[2] > 0])[0]
    save(out, "a", np.where(labels == gone, 0, labels))
    assert correct(opened(out), right=["a"]).images[0].error is None
    build([out], tmp_path / "data")
    train, val = (io.open_dataset(f"{tmp_path / 'data'}:{split}") for split in ("train", "val"))
    if axes == "ZYX":
        assert (len(train.items), len(val.items)) == (1, 1)  # two halves
        assert train.truth(train.items[0]).shape == (5, 32, 40)
        return
    assert (len(train.items), len(val.items)) == (4, 1)
    frames = tifffile.imread(tmp_path / "images" / "a.tif")
    for data in (train, val):
        for item in data.items:
            number = int(item.name.partition("_t")[2].partition("-")[0])
            assert np.array_equal(data.image(item).read()[0], frames[number])
            covered = data.truth(item).covered > 0
            assert np.array_equal(covered, (labels[number] > 0) & (labels[number] != gone))


def test_outlines_of_another_program_are_corrections_too(tmp_path: Path) -> None:
    out = result(tmp_path, ("a",))
    ring = [[10, 10], [20, 10], [20, 20], [10, 20], [10, 10]]
    feature = {"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": [ring]}}
    opened(out).corrections.mkdir()
    path = opened(out).corrections / "a.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    (one,) = correct(opened(out), every=True).images
    assert one.changes is not None
    assert one.changes.right == 1
    (lesson,) = lessons([out])
    assert lesson.known.truth().covered.sum() == lesson.known.objects.sizes[0]
