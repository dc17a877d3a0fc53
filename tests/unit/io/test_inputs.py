from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr

from toolkit import io
from toolkit.errors import InputError, UsageError
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
