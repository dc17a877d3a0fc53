"""Points as annotation."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile

from toolkit import io
from toolkit.check import check
from toolkit.errors import InputError
from toolkit.evaluation import pairing
from toolkit.io.points import read_points
from toolkit.values.truth import Truth


def table(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text.replace(" ", ""), encoding="utf8")
    return path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two images of 8×9 pixels: one with a table of points, one with a point image."""
    root = tmp_path / "cells"
    (root / "images").mkdir(parents=True)
    for name in "ab":
        tifffile.imwrite(
            root / "images" / f"{name}.tif", np.arange(72, dtype=np.uint8).reshape(8, 9) * (3 - (name == "b"))
        )
    table(root / "masks" / "a.csv", "y,x\n 2.4,3\n 7,0\n")
    image = np.zeros((8, 9), np.uint8)
    image[2, 3], image[7, 0] = 1, 2
    tifffile.imwrite(root / "masks" / "b.tif", image)
    (root / "meta.json").write_text(json.dumps({"voxel_size_um": [0.5, 0.25]}))
    return root


def test_points_are_objects_of_one_voxel_with_their_exact_centres(data: Path) -> None:
    found = io.open_dataset(data)
    points, image = (found.truth(item) for item in found.items)
    np.testing.assert_array_equal(points.layers, image.layers)
    np.testing.assert_allclose(points.centres, [[2.4, 3], [7, 0]])
    np.testing.assert_allclose(image.centres, [[2, 3], [7, 0]])
    assert points.voxel_size == image.voxel_size == (0.5, 0.25)


def test_columns_are_found_by_their_names(tmp_path: Path) -> None:
    text = "score,X,z,id,Y\n .5, 3, 1, 9, 2\n .1, 0, 0, 4, 1.6\n"
    found = read_points(table(tmp_path / "a.csv", text), (2, 4, 5))
    assert found.ids.tolist() == [4, 9]
    np.testing.assert_allclose(found.centres, [[0, 1.6, 0], [1, 2, 3]])
    assert (found.layers[0, 0, 2, 0], found.layers[0, 1, 2, 3]) == (4, 9)
    napari = table(tmp_path / "b.csv", "index,axis-0,axis-1\n 0,1,2\n 1,3,4\n")
    np.testing.assert_allclose(read_points(napari, (5, 5)).centres, [[1, 2], [3, 4]])


def test_a_table_without_rows_is_an_image_without_objects(tmp_path: Path) -> None:
    found = read_points(table(tmp_path / "a.csv", "\ufeffy,x\n"), (4, 4))
    assert len(found.ids) == 0
    assert found.centres.shape == (0, 2)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("y,x\n1,1\n4,2\n", r"a point lies outside the image: \(4, 2\) in 4×5 voxels: .*a.csv, row 3; write voxels"),
        ("y,x\n-0.6,2\n", r"a point lies outside the image: \(-0.6, 2\)"),
        ("y,x\n1,1\n1,one\n", r"x is no number: 'one': .*a.csv, row 3"),
        ("y,x\n1\n", r"x is no number: None: .*row 2"),
        ("y,x\n1,nan\n", r"x is no number: 'nan'"),
        ("y,x\n1,1\n2,2\n0.8,1.2\n", r"two points have one voxel: .*rows 2 and 4"),
        ("id,y,x\n3,1,1\n3,2,2\n", r"two points have one id: .*rows 2 and 3"),
        ("id,y,x\n0,1,1\n", r"an id is a whole number from 1 on, not 0: .*row 2"),
        ("z,y,x\n0,1,1\n", r"no points of a 2-D image, its columns are z, y, x: .*write a header with y, x"),
        ("a,b\n0,1\n", r"its columns are a, b"),
        ("", r"its columns are unnamed"),
    ],
)
def test_what_is_wrong_with_a_table_is_said_with_its_row(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        read_points(table(tmp_path / "a.csv", text), (4, 5))


def test_a_table_alone_does_not_say_how_large_its_image_is(tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv", "y,x\n1,1\n")
    with pytest.raises(InputError, match="how large its image is"):
        io.read_truth(path)
    (tmp_path / "a.csv").write_bytes(b"\xff\xfe\x00y")
    with pytest.raises(InputError, match="cannot be read"):
        io.read_truth(path, shape=(3, 3))


def test_a_mask_and_a_table_of_one_name_are_refused(data: Path) -> None:
    table(data / "masks" / "b.points.csv", "y,x\n1,1\n")
    with pytest.raises(InputError, match="two masks have one name"):
        io.open_dataset(data)
    assert [f.code for f in check(data).errors] == ["same-name"]


def test_a_prediction_is_paired_with_a_table(data: Path, tmp_path: Path) -> None:
    path = tmp_path / "seen.tif"
    tifffile.imwrite(path, np.eye(8, 9, dtype=np.uint8))
    (pair,) = pairing.pairs(path, data / "masks" / "a.csv")
    truth, seen = pair.load()
    assert truth.shape == seen.shape == (8, 9)
    assert len(truth.ids) == 2


def test_the_doctor_knows_points(data: Path) -> None:
    found = check(data)
    codes = {f.code: f for f in found.findings}
    assert not found.errors
    assert [p.image for p in codes["points"].where] == ["a", "b"]
    assert "tiny" not in codes
    assert [one.recipe for one in found.advice] == ["cpv:gauss"]
    table(data / "masks" / "a.csv", "y,x\n 2,300\n")
    (error,) = check(data).errors
    assert error.code == "unreadable-mask"
    assert "outside the image" in error.where[0].detail


def test_voids_go_with_points(tmp_path: Path) -> None:
    void = np.zeros((4, 5), np.uint8)
    void[0] = 1
    tifffile.imwrite(tmp_path / "void.tif", void)
    path = table(tmp_path / "a.csv", "y,x\n1,1\n")
    found = io.read_truth(path, shape=(4, 5), void=tmp_path / "void.tif")
    assert isinstance(found, Truth)
    assert found.void is not None
    assert found.void.sum() == 5
    with pytest.raises(InputError, match="their void mask"):
        io.read_truth(path, shape=(5, 5), void=tmp_path / "void.tif")
