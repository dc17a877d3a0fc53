"""What other programs save as labels of an image: layers are layers, and all else is a sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from toolkit.correct import edited
from toolkit.correct.result import Segmented
from toolkit.errors import InputError
from toolkit.values.instances import Instances

PLANE = (20, 24)
VOLUME = (6, 20, 24)


def layers(shape: tuple[int, ...], second: int = 2) -> np.ndarray:
    """Two layers of an object each, which overlap."""
    made = np.zeros((2, *shape), np.uint16)
    made[0, ..., 2:9, 2:9] = 1
    made[1, ..., 6:12, 6:12] = second
    return made


def image(shape: tuple[int, ...]) -> Segmented:
    return Segmented("a", Path("a.tif"), "", shape, Path("a.zarr"))


def saved(folder: Path, array: np.ndarray, axes: str, **more: object) -> Path:
    """As Fiji saves it."""
    tifffile.imwrite(folder / "a.tif", array, imagej=True, metadata={"axes": axes}, **more)
    return folder / "a.tif"


@pytest.mark.parametrize(("shape", "axes"), [(PLANE, "CYX"), (PLANE, "ZYX"), (VOLUME, "ZCYX")])
def test_channels_are_layers_where_objects_overlapped_before(shape: tuple[int, ...], axes: str, tmp_path: Path) -> None:
    there = layers(shape)
    before = Instances.from_layers(there)
    path = saved(tmp_path, np.moveaxis(there, 0, axes.index("C")) if "C" in axes else there, axes)
    found = edited.read(path, image(shape), before, False)
    assert found.objects == before
    assert found.objects.attributes[edited.ID].tolist() == [1, 2]


def test_channels_are_no_layers_where_nothing_overlapped_before(tmp_path: Path) -> None:
    before = Instances.from_labels(layers(PLANE)[0].astype(np.int32))
    cells_and_nuclei = saved(tmp_path, layers(PLANE), "CYX")
    with pytest.raises(InputError, match=r"this label file has 2 channels.*split it; layers have the axes LYX, or"):
        edited.read(cells_and_nuclei, image(PLANE), before, False)
    for about in ({"axes": "LYX"}, {"axes": "CYX", "Channel": {"Name": ["layer-0", "layer-1"]}}):
        tifffile.imwrite(tmp_path / "a.tif", layers(PLANE), ome="Channel" in about, metadata=about)
        assert edited.read(tmp_path / "a.tif", image(PLANE), before, False).objects == Instances.from_layers(
            layers(PLANE)
        )


@pytest.mark.parametrize("overlap", [False, True])
def test_a_picture_in_colours_is_no_edit_and_the_sentence_says_what_to_save(overlap: bool, tmp_path: Path) -> None:
    before = Instances.from_layers(layers(PLANE)[: 1 + overlap])
    colours = np.random.default_rng(0).integers(0, 255, (*PLANE, 3), np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", colours, photometric="rgb")
    with pytest.raises(InputError) as refused:
        edited.read(tmp_path / "a.tif", image(PLANE), before, False)
    assert str(refused.value) == (
        f"a label image has no colours, but this file has: {tmp_path / 'a.tif'}; save labels, one number for each "
        "object, in one channel"
    )


def test_axes_that_do_not_fit_are_not_asked_for_by_an_option_that_the_command_lacks(tmp_path: Path) -> None:
    before = Instances.from_layers(layers(PLANE))
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((2, 2, *PLANE), np.uint16), photometric="minisblack")
    with pytest.raises(InputError, match="the axes LYX do not fit the shape") as refused:
        edited.read(tmp_path / "a.tif", image(PLANE), before, False)
    assert "--axes" not in str(refused.value)
    assert "save labels as YX or ZYX" in str(refused.value)
