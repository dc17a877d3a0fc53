from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from toolkit.values.image import Image
from toolkit.values.tiles import Box

arrays = hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=3, max_side=6))


@st.composite
def boxes(draw: st.DrawFn, shape: tuple[int, ...], beyond: int) -> Box:
    start = [draw(st.integers(-beyond, n + beyond - 1)) for n in shape]
    stop = [draw(st.integers(a + 1, n + beyond)) for a, n in zip(start, shape, strict=True)]
    return Box(tuple(start), tuple(stop))


@given(arrays)
def test_an_array_gets_a_channel_axis_and_unit_voxels(array: np.ndarray) -> None:
    image = Image.from_array(array)
    assert (image.channels, image.shape, image.ndim, image.dtype) == (1, array.shape, array.ndim, array.dtype)
    assert image.voxel_size == (1.0,) * array.ndim
    assert not image.calibrated
    assert np.array_equal(image.read()[0], array)


def test_channels_are_those_that_the_axes_name() -> None:
    image = Image.from_array(np.zeros((2, 5, 6)), "CYX", voxel_size=(0.5, 0.25), calibrated=True, name="cells")
    assert (image.channels, image.shape, image.voxel_size, image.name) == (2, (5, 6), (0.5, 0.25), "cells")


def test_axes_in_another_order_are_our_own_mistake() -> None:
    with pytest.raises(AssertionError):
        Image(np.zeros((5, 6, 3)), "YXC")


@given(st.data(), arrays)
def test_a_box_is_a_part_of_the_whole(data: st.DataObject, array: np.ndarray) -> None:
    box = data.draw(boxes(array.shape, 0))
    image = Image.from_array(array)
    assert np.array_equal(image.read(box), image.read()[(slice(None), *box.slices)])


@pytest.mark.slow
@given(st.data(), arrays)
def test_beyond_its_borders_an_image_is_mirrored(data: st.DataObject, array: np.ndarray) -> None:
    box = data.draw(boxes(array.shape, 15))
    padded = np.pad(array, 15, mode="reflect")
    assert np.array_equal(Image.from_array(array).read_reflected(box)[0], padded[box.shift((15,) * array.ndim).slices])


def test_a_mapped_image_is_computed_for_the_box_that_is_read() -> None:
    array = np.arange(40, dtype=np.uint8).reshape(2, 4, 5)
    seen = []

    def total(voxels: np.ndarray) -> np.ndarray:
        seen.append(voxels.shape)
        return voxels.sum(0, dtype=np.float32, keepdims=True)

    image = Image.from_array(array, "CYX", voxel_size=(2.0, 2.0), notes=("a note",)).map(1, np.float32, total)
    assert seen == []
    assert (image.channels, image.dtype, image.voxel_size, image.notes) == (1, np.float32, (2.0, 2.0), ("a note",))
    assert np.array_equal(image.read(Box((1, 2), (3, 4))), array[:, 1:3, 2:4].sum(0, keepdims=True))
    assert seen == [(2, 2, 2)]
