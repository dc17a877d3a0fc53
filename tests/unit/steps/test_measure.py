from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.measure import regionprops

from toolkit.steps import measure as module
from toolkit.steps.measure import measure
from toolkit.values.image import Image
from toolkit.values.instances import Instances


@st.composite
def scenes(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Planes of objects that may overlap, and an image of two channels."""
    shape = tuple(draw(st.lists(st.integers(1, 6), min_size=2, max_size=3)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    planes = rng.random((draw(st.integers(0, 5)), *shape)) < draw(st.sampled_from([0.1, 0.5, 0.9]))
    dtype = draw(st.sampled_from([np.uint8, np.int16, np.float32]))
    return planes[planes.any(axis=tuple(range(1, planes.ndim)))], (rng.random((2, *shape)) * 100 - 10).astype(dtype)


def image_of(values: np.ndarray, **about: object) -> Image:
    return Image.from_array(values, "C" + "ZYX"[-(values.ndim - 1) :], **about)


@settings(deadline=None)
@given(scenes())
def test_every_column_is_what_scikit_image_measures_object_by_object(scene: tuple[np.ndarray, np.ndarray]) -> None:
    planes, values = scene
    instances = Instances.from_planes(planes)
    table = measure(instances, image_of(values))
    axes = "zyx"[-len(instances.shape) :]
    assert table.rows == len(instances)
    for k in range(len(instances)):
        mask = np.zeros(instances.shape, np.uint8)
        mask.reshape(-1)[instances.voxels(k)] = 1
        (region,) = regionprops(mask, intensity_image=np.moveaxis(values, 0, -1).astype(float))
        assert table["id"][k] == k + 1
        assert table["area_px" if len(axes) == 2 else "volume_px"][k] == region.area
        assert [table[f"centroid_{a}"][k] for a in axes] == pytest.approx(region.centroid)
        assert [table[f"{m}_{a}"][k] for m in ("min", "max") for a in axes] == list(region.bbox)
        for channel in range(2):
            inside = values[channel][mask > 0].astype(float)
            assert table[f"mean_{channel}"][k] == pytest.approx(inside.mean(), abs=1e-6)
            assert (table[f"min_{channel}"][k], table[f"max_{channel}"][k]) == (inside.min(), inside.max())
        others = [j for j in range(len(instances)) if j != k]
        assert table["overlaps"][k] == sum(
            bool(np.intersect1d(instances.voxels(j), instances.voxels(k)).size) for j in others
        )


@settings(deadline=None)
@given(scenes())
def test_slabs_and_chunks_change_nothing(scene: tuple[np.ndarray, np.ndarray]) -> None:
    planes, values = scene
    instances = Instances.from_planes(planes)
    whole = measure(instances, image_of(values))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "SLAB", 1)
        patch.setattr(module, "CHUNK", 3)
        pieces = measure(instances, image_of(values))
    assert list(pieces) == list(whole)
    for name in whole:
        assert np.allclose(pieces[name], whole[name], equal_nan=True), name


def test_sizes_in_micrometres_need_a_known_voxel_size() -> None:
    labels = np.zeros((3, 4, 5), int)
    labels[:2, :2, :2] = 1
    instances, values = Instances.from_labels(labels), np.zeros((1, 3, 4, 5))
    known = measure(instances, image_of(values, voxel_size=(2.0, 0.5, 0.5), calibrated=True))
    assert known["volume_um3"].tolist() == [4.0]
    assert np.isnan(measure(instances, image_of(values))["volume_um3"]).all()
    plane = measure(Instances.from_labels(labels[0]), image_of(values[:, 0], voxel_size=(0.5, 0.25), calibrated=True))
    assert plane["area_um2"].tolist() == [0.5]


def test_values_that_are_no_numbers_are_left_out() -> None:
    values = np.array([[[1.0, np.nan, 3.0, np.inf], [np.nan, np.nan, np.inf, -np.inf]]], np.float32)
    table = measure(Instances.from_labels(np.array([[1] * 4, [2] * 4])), image_of(values))
    assert (table["mean_0"][0], table["min_0"][0], table["max_0"][0]) == (2, 1, 3)
    assert np.isnan([table[c][1] for c in ("mean_0", "min_0", "max_0")]).all()


def test_no_objects_give_a_table_without_rows() -> None:
    table = measure(Instances.empty((4, 5)), image_of(np.zeros((1, 4, 5), np.uint8)))
    assert table.rows == 0
    assert {"id", "score", "min_y", "max_x", "centroid_y", "area_px", "area_um2", "overlaps", "mean_0"} <= set(table)
    assert {len(column) for column in table.values()} == {0}


def test_many_objects_are_measured_without_a_loop_over_them() -> None:
    side = 300
    labels = np.zeros((side * 3, side * 3), np.int32)
    labels.reshape(side, 3, side, 3)[:, :2, :, :2] = np.arange(1, side**2 + 1).reshape(side, 1, side, 1)
    table = measure(Instances.from_labels(labels), Image.from_array(labels))
    assert np.array_equal(table["mean_0"], table["id"])
    assert (table["area_px"] == 4).all()
