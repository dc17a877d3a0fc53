"""What `--mask` covers, and what is said where nothing is left."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image as Pictures

from toolkit import io
from toolkit.errors import InputError
from toolkit.running.lost import lost
from toolkit.running.mask import covered
from toolkit.running.options import Options
from toolkit.values.image import Image

SCORES = np.array([0.5, 0.99999], np.float32)
SHAPE = np.zeros((20, 30), bool)
SHAPE[:8, :9] = True


@pytest.fixture
def image(tmp_path: Path) -> Image:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((20, 30), np.uint8))
    return io.read(tmp_path / "a.tif")


def test_what_removed_the_objects_is_named(tmp_path: Path, image: Image) -> None:
    for name, mask in (("empty", 0 * SHAPE), ("full", SHAPE)):
        tifffile.imwrite(tmp_path / f"{name}.tif", mask.astype(np.uint8))
    empty, full = (str(tmp_path / f"{name}.tif") for name in ("empty", "full"))
    assert lost(SCORES[:0], Options(tmp_path, min_score=1), [image]) == ""
    said = lost(SCORES, Options(tmp_path, min_score=1), [image])
    assert said == "2 objects were found, but none has a score of 1 (--min-score); the highest is 0.9999"
    said = lost(SCORES[:1], Options(tmp_path, mask=empty), [image])
    assert said == "1 object was found, but the mask empty.tif is empty: it is 0 everywhere (--mask)"
    said = lost(SCORES, Options(tmp_path, mask=full, roi="0:2,0:2"), [image])
    assert said == "2 objects were found, but none lies where --roi and --mask want them"
    assert lost(SCORES, Options(tmp_path, roi="0:2,0:2"), [image]).endswith("none lies where --roi wants them")


@pytest.mark.parametrize("ground", [0, 255])
def test_a_shape_that_lies_in_the_opacity_alone_is_used(tmp_path: Path, image: Image, ground: int) -> None:
    picture = np.full((20, 30, 4), ground, np.uint8)
    picture[..., 3] = 255 * SHAPE
    Pictures.fromarray(picture).save(tmp_path / "m.png")
    assert np.array_equal(covered(str(tmp_path / "m.png"), image), SHAPE)


def test_where_all_is_opaque_the_colours_count(tmp_path: Path, image: Image) -> None:
    picture = np.full((20, 30, 4), 255, np.uint8)
    picture[..., :3] = 255 * SHAPE[..., None]
    Pictures.fromarray(picture).save(tmp_path / "m.png")
    assert np.array_equal(covered(str(tmp_path / "m.png"), image), SHAPE)


def test_a_folder_is_no_mask_and_shapes_are_compared(tmp_path: Path, image: Image) -> None:
    with pytest.raises(InputError, match="a mask is one image, and this is a folder"):
        covered(str(tmp_path), image)
    with pytest.raises(InputError, match="this folder is no image"):
        io.read(tmp_path)
    tifffile.imwrite(tmp_path / "m.tif", np.zeros((3, 20, 30), np.uint8), photometric="minisblack")
    with pytest.raises(InputError, match=r"the mask has \[3, 20, 30\] voxels and the image has \[20, 30\]"):
        covered(str(tmp_path / "m.tif"), image)


def test_a_mask_of_a_series_has_its_frames(tmp_path: Path) -> None:
    frames, mask = np.zeros((3, 20, 30), np.uint8), np.stack([0 * SHAPE, SHAPE, ~SHAPE]).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", frames, imagej=True, metadata={"axes": "TYX"})
    tifffile.imwrite(tmp_path / "m.tif", mask, photometric="minisblack")
    for number, image in enumerate(io.frames(tmp_path / "a.tif")):
        assert np.array_equal(covered(str(tmp_path / "m.tif"), image, number), mask[number] > 0)
