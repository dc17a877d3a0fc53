from __future__ import annotations

import os
import shutil
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr

from tests.battery import omesets
from toolkit import io
from toolkit.errors import InputError, UsageError
from toolkit.files.plain_text import shown
from toolkit.io.inputs import Found, named
from toolkit.io.paths import stem
from toolkit.values.image import Image
from toolkit.values.instances import Instances

PIXELS = np.eye(8, 9, dtype=np.uint8)


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".zarr":
            zarr.create_array(path, data=PIXELS)
        else:
            tifffile.imwrite(path, PIXELS)


def found(*inputs: str | Path) -> list[tuple[str, str]]:
    return [(f.stem, f.folder.as_posix()) for f in io.find_inputs(inputs)]


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("a.tif", "a"),
        ("a.TIFF", "a"),
        ("a.ome.tif", "a"),
        ("a.ome.tiff", "a"),
        ("a.ome.zarr", "a"),
        ("a.labels.tif", "a"),
        ("a.zarr", "a"),
        ("a.b.png", "a.b"),
        ("a.ome.png", "a.ome"),
        (".tif", ".tif"),
    ],
)
def test_the_stem_is_the_name_without_its_image_ending(name: str, wanted: str) -> None:
    assert stem(Path(name)) == wanted


def test_a_folder_is_searched_to_the_bottom_and_sorted(tmp_path: Path) -> None:
    touch(tmp_path / "b.tif", tmp_path / "x" / "a.ome.tif", tmp_path / "x" / "c.zarr", tmp_path / ".hidden" / "d.tif")
    (tmp_path / "notes.txt").write_text("no image")
    assert found(tmp_path) == [("a", "."), ("b", "."), ("c", ".")]


def test_equal_stems_keep_their_folders(tmp_path: Path) -> None:
    touch(tmp_path / "day1" / "a.tif", tmp_path / "day2" / "a.tif", tmp_path / "day2" / "b.tif")
    assert found(tmp_path) == [("a", "day1"), ("a", "day2"), ("b", ".")]
    assert found(tmp_path / "day1" / "a.tif", tmp_path / "day2" / "a.tif") == [("a", "day1"), ("a", "day2")]


def test_equal_stems_in_one_folder_keep_their_endings(tmp_path: Path) -> None:
    touch(tmp_path / "a.tif", tmp_path / "a.ome.tif")
    assert found(tmp_path) == [("a.ome.tif", "."), ("a.tif", ".")]


def test_outputs_never_collide(tmp_path: Path) -> None:
    for name in ("a.tif", "a.png", "x/a.tif", "x/y/a.tif", "b.tif", "a.zarr"):
        touch(tmp_path / name)
    outputs = found(tmp_path)
    assert len(set(outputs)) == len(outputs) == 6


def test_an_image_that_is_named_twice_is_found_once(tmp_path: Path) -> None:
    touch(tmp_path / "a.tif")
    assert found(tmp_path, tmp_path / "a.tif", f"{tmp_path}/*.tif") == [("a", ".")]


def test_the_outputs_of_a_run_are_not_taken_for_images(tmp_path: Path) -> None:
    touch(tmp_path / "a.tif")
    image = Image.from_array(PIXELS)
    io.write(tmp_path, "a", Instances.from_labels(PIXELS.astype(np.int32)), image, preview=image)
    io.write(tmp_path / "b.seg", "b", Instances.from_labels(PIXELS.astype(np.int32)), image, preview=image)
    assert found(tmp_path) == [("a", ".")]


def test_a_glob_finds_images_only(tmp_path: Path) -> None:
    touch(tmp_path / "a1.tif", tmp_path / "a2.tif", tmp_path / "b1.tif")
    (tmp_path / "a3.txt").touch()
    assert found(f"{tmp_path}/a*") == [("a1", "."), ("a2", ".")]


def test_a_zarr_folder_is_one_image(tmp_path: Path) -> None:
    touch(tmp_path / "a.zarr")
    assert found(tmp_path / "a.zarr") == [("a", ".")]


def test_a_data_set_tells_what_its_images_are(tmp_path: Path) -> None:
    touch(*(tmp_path / folder / f"{n}.tif" for folder in ("images", "masks") for n in "ab"))
    (tmp_path / "splits.json").write_text('{"train": ["a"], "val": ["b"]}')
    (tmp_path / "meta.json").write_text('{"axes": "YX", "voxel_size_um": [2, 1]}')
    assert found(f"{tmp_path}:val") == [("b", ".")]
    assert found(tmp_path) == [("a", "."), ("b", ".")]
    for where in (f"{tmp_path}:val", tmp_path / "images" / "b.tif", f"{tmp_path}/images/b*"):
        (image,) = io.find_inputs([where])
        assert (image.axes, image.voxel_size) == ("YX", (2, 1))
    with pytest.raises(UsageError, match="val"):
        io.find_inputs([f"{tmp_path}:vall"])


def test_what_is_not_there_is_an_input_error(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for where in (tmp_path / "absent.tif", tmp_path / "empty", f"{tmp_path}/*.png"):
        with pytest.raises(InputError, match="no "):
            io.find_inputs([where])
    with pytest.raises(InputError, match="no image was given"):
        io.find_inputs([])


def test_two_names_of_one_file_are_two_images(tmp_path: Path) -> None:
    touch(tmp_path / "store" / "blob.tif")
    (tmp_path / "names").mkdir()
    for name in ("s1.tif", "s2.tif"):
        (tmp_path / "names" / name).symlink_to(tmp_path / "store" / "blob.tif")
    assert found(tmp_path / "names") == [("s1", "."), ("s2", ".")]
    assert found(f"{tmp_path}/names/*") == [("s1", "."), ("s2", ".")]


def test_links_to_folders_are_followed_but_never_in_circles(tmp_path: Path) -> None:
    touch(tmp_path / "store" / "deep" / "blob.tif")
    (tmp_path / "staged").mkdir()
    (tmp_path / "staged" / "sample").symlink_to(tmp_path / "store")
    (tmp_path / "store" / "deep" / "up").symlink_to(tmp_path / "store")
    (tmp_path / "staged" / "gone.tif").symlink_to(tmp_path / "nowhere.tif")
    search = io.search([tmp_path / "staged"])
    assert [f.stem for f in search.images] == ["blob"]
    assert sorted((s.path.name, s.why) for s in search.skipped) == [
        ("gone.tif", "a link to nothing"),
        ("up", "a link to a folder around it"),
    ]


def test_nothing_in_a_folder_is_passed_over_without_a_word(tmp_path: Path) -> None:
    touch(*(tmp_path / "in" / name for name in ("a.tif", "deep/b.tif")))
    others = {
        *("b.labels.tif", "c.overlay.png", "deep/run.json", "old.work/c.tif", "x.seg/c.tif", "x.corrections/a.tif"),
        *("notes.txt", "deep/notes.txt", ".hidden.tif", ".git/d.tif"),
    }
    touch(*(tmp_path / "in" / name for name in others if name.endswith(".tif")))
    for name in others:
        (tmp_path / "in" / name).touch()
    search = io.search([tmp_path / "in"])
    assert [f.stem for f in search.images] == ["a", "b"]
    said = {s.path.relative_to(tmp_path / "in").as_posix() for s in search.skipped}
    assert said == {name if name.startswith("deep") else name.partition("/")[0] for name in others}
    assert named([s for s in search.skipped if s.path.name in ("x.seg", ".git")]) == (
        "x.seg/ (named as results are), 1 hidden"
    )


def test_images_of_a_data_set_that_lie_elsewhere_are_named(tmp_path: Path) -> None:
    touch(*(tmp_path / name for name in ("images/a.tif", "images/deep/b.tif", "c.tif", "masks/a.tif")))
    search = io.search([tmp_path])
    assert [f.stem for f in search.images] == ["a"]
    assert named(search.skipped) == "b.tif (not directly in images/), c.tif (not directly in images/)"


def test_what_a_pattern_matches_and_is_no_image_is_named(tmp_path: Path) -> None:
    touch(tmp_path / "a" / "x.tif", tmp_path / "a" / "deep" / "y.tif")
    assert named(io.search([f"{tmp_path}/a/**"]).skipped) == ""
    (tmp_path / "a" / "notes.txt").touch()
    assert named(io.search([f"{tmp_path}/a/*"]).skipped) == "deep/, notes.txt"


@pytest.mark.linux
def test_a_name_that_is_no_text_is_passed_over_and_the_others_are_found(tmp_path: Path) -> None:
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.tif"))
    touch(odd)
    with pytest.raises(InputError, match=r"no image can be read: .*its name is no UTF-8 text: rename it"):
        io.search([tmp_path])
    touch(tmp_path / "a.tif", tmp_path / "images" / "b.tif")
    shutil.copy(odd, tmp_path / "images")
    for where in (tmp_path / "*.tif", tmp_path / "images" / "..", tmp_path / "images" / "*"):
        search = io.search([where])
        assert len(search.images) == 1
        assert any(s.path.name == odd.name for s in search.skipped)
    shutil.rmtree(tmp_path / "images")
    assert shown(named(io.search([tmp_path]).skipped)) == r"\xff.tif (its name is no UTF-8 text: rename it)"


def test_what_is_passed_over_in_a_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toolkit.io.vendor.find_spec", lambda _: None)  # no reader of such files is installed
    touch(tmp_path / "a.tif")
    for name in ("x.czi", "notes.txt", "run.json", ".hidden", "a.objects.csv"):
        (tmp_path / name).touch()
    skipped = io.search([tmp_path]).skipped
    assert sorted(s.path.name for s in skipped) == [".hidden", "a.objects.csv", "notes.txt", "run.json", "x.czi"]
    some = "x.czi (pip install 'seg-toolkit[formats]'), notes.txt, a.objects.csv (named as results are)"
    assert named(skipped) == f"{some} …, 1 hidden"
    (tmp_path / "a.tif").unlink()
    with pytest.raises(InputError, match=r"holds no image: .*but x.czi \(pip install"):
        io.search([tmp_path])


def test_accents_are_one_spelling(tmp_path: Path) -> None:
    touch(tmp_path / unicodedata.normalize("NFD", "é.tif"))
    assert found(tmp_path) == [(unicodedata.normalize("NFC", "é"), ".")]


def test_results_of_a_run_are_refused_as_images(tmp_path: Path) -> None:
    image = Image.from_array(PIXELS)
    io.write(tmp_path / "a.seg", "a", Instances.from_labels(PIXELS.astype(np.int32)), image, preview=image)
    for name in ("", "a.labels.tif", "a.zarr", "a.overlay.png"):
        with pytest.raises(InputError, match="this is a result of seg"):
            io.search([tmp_path / "a.seg" / name])


def plate(folder: Path, wells: dict[str, list[str]]) -> Path:
    path = folder / "p.zarr"
    group = zarr.create_group(path, zarr_format=2)
    group.attrs["plate"] = {"wells": [{"path": well} for well in wells]}
    for well, images in wells.items():
        inner = group.create_group(well)
        inner.attrs["well"] = {"images": [{"path": image} for image in images]}
        for image in images:
            field = inner.create_group(image)
            axes = [{"name": n, "type": "space"} for n in "yx"]
            field.attrs["multiscales"] = [{"version": "0.4", "axes": axes, "datasets": [{"path": "0"}]}]
            field.create_array("0", shape=PIXELS.shape, dtype="u1", chunks=(8, 8))[...] = len(well) + int(image)
    return path


def test_all_fields_of_a_plate_are_images_and_one_can_be_named(tmp_path: Path) -> None:
    path = plate(tmp_path, {"A/1": ["0", "1"], "B/12": ["0"]})
    every = [("p_A1_0", "."), ("p_A1_1", "."), ("p_B12_0", ".")]
    assert found(path) == found(tmp_path) == every
    assert found(path / "A" / "1") == [("p_A1_0", "."), ("p_A1_1", ".")]
    assert found(path / "A" / "1" / "1") == [("p_A_1_1", ".")]
    assert io.read(io.find_inputs([path])[2].path).read().max() == 4


def test_a_plate_that_is_broken_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="this plate holds no image"):
        io.search([plate(tmp_path / "empty", {})])
    path = plate(tmp_path / "lost", {"A/1": ["0", "1"]})
    shutil.rmtree(path / "A" / "1" / "1")
    with pytest.raises(InputError, match="lacks field 1 of its well A/1"):
        io.search([path])
    shutil.rmtree(path / "A" / "1")
    with pytest.raises(InputError, match="lacks its well A/1"):
        io.search([path])


def test_a_set_of_ome_tiffs_in_a_folder_is_one_image(tmp_path: Path) -> None:
    stack = np.arange(5 * 8 * 9, dtype=np.uint16).reshape(5, 8, 9)
    for name, companion in (("self", None), ("other", "s.companion.ome")):
        (tmp_path / name).mkdir()
        omesets.slices(tmp_path / name, stack, companion)
        (one,) = io.find_inputs([tmp_path / name])
        assert np.array_equal(io.read(one.path).read(), stack[None])
    (tmp_path / "positions").mkdir()
    omesets.positions(tmp_path / "positions", {"a.ome.tif": stack[0], "b.ome.tif": stack[1]})
    assert found(tmp_path / "positions") == [("a", "."), ("b", ".")]


def test_a_broken_plate_among_images_hides_none_of_them(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((8, 8), np.uint8))
    plate = zarr.create_group(tmp_path / "p.zarr")
    plate.attrs["ome"] = {"version": "0.5", "plate": {"wells": [], "rows": [], "columns": []}}
    with pytest.raises(InputError, match="this plate holds no image"):
        io.find_inputs([tmp_path / "p.zarr"])
    assert [one.stem for one in io.find_inputs([tmp_path])] == ["a", "p"]
    with pytest.raises(InputError, match="this plate holds no image"):
        io.read(tmp_path / "p.zarr")


def test_what_could_not_be_done_is_named_by_its_path() -> None:
    assert str(Found(Path("deep/a.tif"), "a")) == "deep/a.tif"


def test_a_folder_that_may_not_be_looked_into_hides_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for who may not read it; the one who runs the tests may be root, who may read everything."""
    touch(tmp_path / "in" / "a.tif", tmp_path / "in" / "closed" / "b.tif")
    allowed = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != "closed" and allowed(path, mode))
    search = io.search([tmp_path / "in"])
    assert [image.path.name for image in search.images] == ["a.tif"]
    assert named(search.skipped) == "closed/ (a folder that may not be looked into)"
