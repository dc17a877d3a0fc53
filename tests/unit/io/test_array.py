"""Arrays of Python: their axes, lazily, and whatever is wrong with them in one sentence."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import xarray
import zarr

from toolkit import io
from toolkit.errors import InputError
from toolkit.values.tiles import Box

VOXELS = np.random.default_rng(2).integers(0, 60000, (2, 3, 20, 30)).astype(np.uint16)


class Graph:
    """What is used of a dask array; counts what is computed."""

    def __init__(self, array: np.ndarray, error: Exception | None = None) -> None:
        self.array, self.shape, self.dtype, self.error = array, array.shape, array.dtype, error
        self.computed = 0

    def compute(self) -> np.ndarray:
        raise AssertionError("never all of it")

    def __getitem__(self, index: Any) -> Any:
        def compute(scheduler: str) -> np.ndarray:
            if self.error:
                raise self.error
            piece = self.array[index]
            self.computed += piece.size
            return piece

        return SimpleNamespace(compute=compute)


def one(array: Any, **options: Any) -> Any:
    (image,) = io.of_array(array, **options)
    return image


@pytest.mark.parametrize("axes", ["YX", "ZYX", "CZYX"])
def test_an_array_without_names_is_yx_zyx_or_czyx(axes: str) -> None:
    array = VOXELS[(0,) * (4 - len(axes))]
    image = one(array)
    assert image.axes == ("CYX" if axes == "YX" else "CZYX")
    assert np.array_equal(image.read(), array if "C" in axes else array[None])


def test_channels_last_are_asked_about_and_taken_when_they_are_said() -> None:
    colours = np.moveaxis(VOXELS[:, 0], 0, -1)
    with pytest.raises(InputError, match=r"shape \(20, 30, 2\) has few columns.*--axes"):
        io.of_array(colours)
    assert np.array_equal(one(colours, axes="YXC").read(), VOXELS[:, 0])
    assert one(colours, axes="ZYX").shape == (20, 30, 2)


def test_a_dask_array_is_computed_piece_by_piece() -> None:
    graph = Graph(VOXELS)
    image = one(graph, axes="CZYX")
    assert graph.computed == 0
    assert np.array_equal(image.read(Box((0, 2, 3), (1, 4, 6))), VOXELS[:, :1, 2:4, 3:6])
    assert graph.computed == 2 * 1 * 2 * 3


@pytest.mark.parametrize(
    "error", [RuntimeError("worker lost"), KeyError("no key"), type("Odd", (Exception,), {})("odd")]
)
def test_a_dask_array_that_raises_is_one_sentence(error: Exception) -> None:
    with pytest.raises(InputError, match="damaged or not supported: array"):
        one(Graph(VOXELS, error), axes="CZYX").read()


def test_an_xarray_says_its_axes_in_any_order() -> None:
    named = xarray.DataArray(VOXELS.transpose(2, 3, 1, 0), dims=["y", "x", "depth", "channel"])
    assert np.array_equal(one(named).read(), VOXELS)
    time = io.of_array(xarray.DataArray(VOXELS[:, 0], dims=["time", "y", "x"]))
    assert [np.array_equal(frame.read()[0], VOXELS[t, 0]) for t, frame in enumerate(time)] == [True, True]
    with pytest.raises(InputError, match="no axis 'angle'"):
        io.of_array(xarray.DataArray(VOXELS[0], dims=["angle", "y", "x"]))


def test_a_zarr_array_stays_on_the_disk(tmp_path: Path) -> None:
    made = zarr.create_array(tmp_path / "a.zarr", shape=VOXELS.shape, dtype="u2", chunks=(1, 1, 8, 8),
                             dimension_names=["c", "z", "y", "x"])  # fmt: skip
    made[...] = VOXELS
    image = one(made)
    assert not isinstance(image.source, np.ndarray)
    assert np.array_equal(image.read(), VOXELS)


def test_voxel_sizes_and_frames_are_said() -> None:
    frames = io.of_array(VOXELS[0], axes="TYX", voxel_size=(0.5, 0.25))
    assert len(frames) == 3
    assert {f.voxel_size for f in frames} == {(0.5, 0.25)}
    assert frames[1].series is not None
    assert frames[1].series.shape == (60, 30)
