from __future__ import annotations

from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from toolkit import io
from toolkit.errors import InputError, UsageError
from toolkit.values.instances import Instances

LABELS = np.zeros((12, 15), np.int32)
LABELS[1:4, 1:5] = 1
LABELS[6:9, 2:9] = 7
PLANES = np.zeros((2, 12, 15), np.uint8)
PLANES[0, 1:6, 1:6] = 1
PLANES[1, 4:9, 4:9] = 255


def tiff(folder: Path, array: np.ndarray, name: str = "a.tif", **options: object) -> Path:
    tifffile.imwrite(folder / name, array, **{"photometric": "minisblack", **options})
    return folder / name


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64"])
def test_labels_of_any_integer_type_are_read(tmp_path: Path, dtype: str) -> None:
    path = tiff(tmp_path, LABELS.astype(dtype))
    assert np.array_equal(io.read_truth(path).layers, LABELS[None])
    assert io.read_instances(path) == Instances.from_labels(LABELS)


def test_a_volume_of_labels_is_not_mistaken_for_layers(tmp_path: Path) -> None:
    volume = np.stack([LABELS] * 3)
    truth = io.read_truth(tiff(tmp_path, volume))
    assert truth.shape == (3, 12, 15)
    assert len(truth.instances) == 2


def test_planes_may_overlap(tmp_path: Path) -> None:
    path = tiff(tmp_path, PLANES)
    truth, found = io.read_truth(path, axes="QYX"), io.read_instances(path, axes="QYX")
    assert truth.instances == found == Instances.from_planes(PLANES)
    assert truth.covered.max() == 2
    assert len(io.read_instances(tiff(tmp_path, PLANES[0]), axes="QYX")) == 1
    named = tiff(tmp_path, PLANES, "named.tif", metadata={"axes": "QYX"})
    assert io.read_instances(named) == found


def test_planes_of_a_volume_may_overlap(tmp_path: Path) -> None:
    planes = np.stack([PLANES] * 4, axis=1)
    found = io.read_instances(tiff(tmp_path, planes), axes="QZYX")
    assert found == Instances.from_planes(planes)
    assert found.shape == (4, 12, 15)


def test_layers_share_their_numbers(tmp_path: Path) -> None:
    layers = np.stack([LABELS, np.where(LABELS == 7, 0, LABELS).T.reshape(12, 15) * 3]).astype(np.uint16)
    assert io.read_instances(tiff(tmp_path, layers), axes="LYX") == Instances.from_layers(layers)
    assert np.array_equal(io.read_truth(tiff(tmp_path, layers), axes="LYX").layers, layers)


def test_minus_one_is_unannotated_and_other_negatives_are_refused(tmp_path: Path) -> None:
    labels = LABELS.copy()
    labels[0] = -1
    truth = io.read_truth(tiff(tmp_path, labels.astype(np.int16)))
    assert np.array_equal(truth.unannotated, labels == -1)
    assert len(io.read_instances(tiff(tmp_path, labels.astype(np.int16)))) == 2
    labels[0, 0] = -2
    with pytest.raises(InputError, match="holds -2"):
        io.read_truth(tiff(tmp_path, labels.astype(np.int16)))


def test_float_labels_are_accepted_only_if_they_are_whole(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    truth = io.read_truth(tiff(tmp_path, LABELS.astype(np.float32)))
    assert np.array_equal(truth.layers, LABELS[None])
    assert "whole numbers" in caplog.text
    for odd in (0.5, np.nan, np.inf):
        labels = LABELS.astype(np.float32)
        labels[0, 0] = odd
        with pytest.raises(InputError, match="whole numbers"):
            io.read_truth(tiff(tmp_path, labels))


@settings(deadline=None, max_examples=30)
@given(
    hnp.arrays(np.int64, (2, 4, 5), elements=st.sampled_from([-1, 0, 1, 5, 2**31 - 1, 2**31, 2**32 + 5, 2**62])),
)
def test_large_labels_are_renumbered_and_stay_the_same_objects(
    tmp_path_factory: pytest.TempPathFactory, labels: np.ndarray
) -> None:
    path = tiff(tmp_path_factory.mktemp("wide"), labels)
    truth = io.read_truth(path, axes="LYX")
    assert np.array_equal(truth.layers == -1, labels == -1)
    assert truth.instances == Instances.from_layers(labels) == io.read_instances(path, axes="LYX")


def test_void_is_read_and_must_fit(tmp_path: Path) -> None:
    path, void = tiff(tmp_path, LABELS), tiff(tmp_path, (LABELS == 7).astype(np.uint8) * 255, "void.tif")
    truth = io.read_truth(path, void=void)
    assert truth.void is not None
    assert np.array_equal(truth.void, LABELS == 7)
    with pytest.raises(InputError, match="void mask"):
        io.read_truth(path, void=tiff(tmp_path, LABELS[:5], "void.tif"))


def test_the_voxel_size_of_the_file_is_kept_and_an_argument_wins(tmp_path: Path) -> None:
    about = {"axes": "YX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.25}
    path = tiff(tmp_path, LABELS.astype(np.uint16), ome=True, metadata=about)
    assert io.read_truth(path).voxel_size == (0.25, 0.5)
    assert io.read_truth(path, voxel_size=(3, 4)).voxel_size == (3, 4)


def test_a_picture_is_no_label_image(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no colours"):
        io.read_truth(tiff(tmp_path, np.arange(243, dtype=np.uint8).reshape(9, 9, 3), photometric="rgb"))
    with pytest.raises(UsageError, match="LZYX, QZYX"):
        io.read_truth(tiff(tmp_path, LABELS), axes="CYX")
    with pytest.raises(InputError, match=r"cannot tell the axes.*save labels as YX or ZYX"):
        io.read_truth(tiff(tmp_path, np.zeros((2, 3, 9, 9), np.uint16)))


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif"])
def test_labels_in_a_jpeg_are_refused_whatever_it_is_called(tmp_path: Path, name: str) -> None:
    stored = np.kron(np.arange(16, dtype=np.uint8).reshape(4, 4), np.ones((16, 16), np.uint8))
    if name.endswith("tif"):
        tifffile.imwrite(tmp_path / name, stored, compression="jpeg", photometric="minisblack")
    else:
        (tmp_path / name).write_bytes(imagecodecs.jpeg_encode(stored))
    for read in (io.read_truth, io.read_instances):
        with pytest.raises(InputError, match="labels in a JPEG are not those that were saved"):
            read(tmp_path / name)
