"""Arrays of Python: their axes, lazily, and whatever is wrong with them in one sentence."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
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


LAZY = {"numpy": np.asarray, "xarray": xarray.DataArray, "zarr": zarr.array, "dask": lambda array: Graph(array)}
LAST = (20, 30, 3)


@pytest.mark.parametrize("kind", LAZY)
@pytest.mark.parametrize(
    ("shape", "axes", "read_as"),
    [((20, 30), "CYX", ""), ((2, 20, 30), "CYX", "CYX"), ((9, 20, 30), "CZYX", "ZYX"), ((9, 2, 20, 30), "CZYX", "ZCYX"),
     ((20, 30, 2), "CYX", "YXC"), ((1, 20, 30), "CYX", "")],
)  # fmt: skip
def test_where_no_axis_has_a_name_the_shape_decides_as_in_a_file(
    shape: tuple[int, ...], axes: str, read_as: str, kind: str, tmp_path: Path
) -> None:
    array = np.resize(VOXELS, shape)
    image = one(LAZY[kind](array))
    assert image.axes == axes
    note = f"axes read as {read_as} from the shape {'×'.join(map(str, shape))}; give --axes if that is wrong"
    assert image.notes == ((note,) if read_as else ())
    if array.ndim < 4:
        tifffile.imwrite(tmp_path / "a.tif", array, metadata=None, photometric="minisblack")
    else:  # a TIFF has no two axes of pages
        zarr.create_array(tmp_path / "a.tif", data=array)
    written = io.read(tmp_path / "a.tif")
    assert (written.axes, written.notes) == (image.axes, image.notes)
    assert np.array_equal(written.read(), image.read())


@pytest.mark.parametrize("names", [None, ("", "", ""), ("dim_0", "dim_1", "dim_2"), (None, None, None)])
def test_colours_without_names_are_a_note(names: Any, tmp_path: Path) -> None:
    colours = np.resize(VOXELS.astype(np.uint8), LAST)
    made = zarr.create_array(tmp_path / "a.zarr", data=colours, dimension_names=names)
    for image in (one(made), io.read(tmp_path / "a.zarr"), one(colours), one(colours[None])):
        assert (image.axes, image.channels) == ("CYX", 3)
        assert image.notes == ("axes read as YXC from the shape 20×30×3; give --axes if that is wrong",)
    assert one(colours, axes="ZYX").shape == LAST
    assert one(colours, axes="YXC").notes == ()


def test_chunks_that_are_not_stored_are_a_note() -> None:
    made = zarr.create_array({}, shape=(32, 32), chunks=(16, 16), dtype="u1")
    made[:16] = 1
    assert one(made).notes == ("2 of 4 chunks are not stored and read as empty",)


def test_channels_of_an_xarray_have_the_names_of_their_coordinate() -> None:
    named = xarray.DataArray(VOXELS[:, 0], dims=["c", "y", "x"], coords={"c": ["RFP", "DAPI"]})
    assert one(named).channel_names == one(named.transpose("y", "x", "c")).channel_names == ("RFP", "DAPI")
    assert one(named.assign_coords(c=[3, 4])).channel_names == one(named.drop_vars("c")).channel_names == ()


def test_a_group_of_zarr_is_what_its_path_is(tmp_path: Path) -> None:
    scale = {"type": "scale", "scale": [1, 0.5, 0.5]}
    axes = [{"name": "c", "type": "channel"}, *({"name": n, "type": "space", "unit": "micrometer"} for n in "yx")]
    levels = [{"path": "0", "coordinateTransformations": [scale]}]
    group = zarr.open_group(tmp_path / "a.zarr", mode="w")
    group.create_array("0", data=VOXELS[:, 0])
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": levels}]}
    image = one(zarr.open_group(tmp_path / "a.zarr"))
    assert (image.name, image.voxel_size, image.channels) == ("a", (0.5, 0.5), 2)
    memory = zarr.group()
    memory.create_array("0", data=VOXELS[0, 0])
    with pytest.raises(InputError, match=r"group of Zarr does not lie in a folder.*group\['0'\]"):
        io.of_array(memory)


def test_masks_are_refused_unless_they_hide_nothing() -> None:
    plane = VOXELS[0, 0]
    hidden = np.ma.masked_greater(plane, 100)
    lazy = Graph(plane)
    lazy._meta = hidden  # type: ignore[attr-defined]
    for array in (hidden, lazy):
        with pytest.raises(InputError, match=r"part of this array is masked.*numpy\.ma\.filled"):
            io.of_array(array)
    assert np.array_equal(one(np.ma.masked_array(plane)).read()[0], plane)


def test_tensors_are_read() -> None:
    plane = torch.arange(600).reshape(20, 30)
    for tensor in (plane, plane.bfloat16(), plane.float().requires_grad_()):
        assert np.array_equal(one(tensor).read()[0], tensor.detach().float().numpy())
    with pytest.raises(InputError, match="array"):
        io.of_array(plane.float().to_sparse())


@pytest.mark.parametrize(
    ("thing", "said"),
    [
        (None, "^None is no image; give a path, an array"), ({}, "^a dict is no image"), (b"a", "^bytes is no image"),
        ((i for i in ()), "^a generator is no image"), (StringIO(), "^an open file is no image"), (5, "^an int is"),
        ([[1, 2], [3]], "rows of this list are not equally long"), ([None], "something else than numbers"),
        (xarray.Dataset({"a": (("y", "x"), VOXELS[0, 0])}), "a Dataset of xarray is no image, it holds 'a'; give one"),
        (SimpleNamespace(shape=(float("nan"), 3), dtype=np.dtype("u1"), compute=None), r"shape.*compute_chunk_sizes"),
        (np.array(2), r"axes of an array of shape \(\): array"),
    ],
)  # fmt: skip
def test_what_is_no_array_is_named(thing: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        io.of_array(thing)


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
