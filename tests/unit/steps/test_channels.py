from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.color import rgb2hed
from skimage.data import immunohistochemistry

from toolkit.errors import InputError
from toolkit.steps.channels import look, select
from toolkit.steps.choice import stained
from toolkit.values.image import Image
from toolkit.values.tiles import Box

COLOUR = Image.from_array(np.random.default_rng(0).integers(0, 256, (3, 9, 11)).astype(np.uint8), "CYX")
GREY = Image.from_array(np.arange(20, dtype=np.uint16).reshape(4, 5))


@given(st.lists(st.integers(0, 2), min_size=1, max_size=4))
def test_channels_come_in_the_order_that_was_asked_for(channels: list[int]) -> None:
    picked = select(COLOUR, channels)
    assert picked.channels == len(channels)
    assert picked.dtype == np.uint8
    assert np.array_equal(picked.read(), COLOUR.read()[channels])
    box = Box((2, 3), (5, 9))
    assert np.array_equal(picked.read(box), COLOUR.read(box)[channels])
    assert np.array_equal(
        picked.read_reflected(Box((-2, -2), (4, 4))), COLOUR.read_reflected(Box((-2, -2), (4, 4)))[channels]
    )


def test_what_is_known_about_the_image_is_kept() -> None:
    image = Image(GREY.read().repeat(2, 0), "CYX", (2, 3), "cells", True, ("a note",), ("dna", "actin"))
    picked = select(image, [1])
    assert (picked.voxel_size, picked.name, picked.calibrated, picked.notes) == ((2, 3), "cells", True, ("a note",))
    assert picked.channel_names == ("actin",)


def test_channels_that_are_not_needed_are_not_read() -> None:
    class Source:
        shape, dtype = (4, 6, 7), np.dtype(np.uint8)

        def __getitem__(self, key: tuple[slice, ...]) -> np.ndarray:
            assert key[0] == slice(2, 3)
            return np.ones(self.shape, np.uint8)[key]

    assert select(Image(Source(), "CYX"), [2]).read().shape == (1, 6, 7)


def test_all_is_the_image_itself() -> None:
    assert select(COLOUR, "all") is COLOUR
    assert select(COLOUR, (0, 1, 2)) is COLOUR
    assert select(GREY, "grey") is GREY


@pytest.mark.parametrize(("channel", "has"), [(1, "1 channel,"), (-1, "1 channel,")])
def test_an_absent_channel_is_named_with_the_number_that_there_are(channel: int, has: str) -> None:
    with pytest.raises(InputError, match=f"no channel {channel}, the image has {has}"):
        select(GREY, [channel])
    with pytest.raises(InputError, match="no channel 3, the image has 3 channels"):
        select(COLOUR, [0, 3])


@pytest.mark.parametrize("how", ["grey", "haematoxylin"])
def test_colours_are_asked_of_colour_images_only(how: str) -> None:
    two = Image.from_array(np.zeros((2, 4, 5), np.uint8), "CYX")
    with pytest.raises(InputError, match="--channel"):
        select(two, how)
    assert select(GREY, how) is GREY


def test_grey_is_the_luminance_in_the_range_of_the_file() -> None:
    grey = select(COLOUR, "grey")
    assert (grey.channels, grey.dtype) == (1, np.float32)
    red, green, blue = COLOUR.read().astype(float)
    assert np.allclose(grey.read()[0], 0.2126 * red + 0.7152 * green + 0.0722 * blue, atol=1e-3)
    white = select(Image.from_array(np.full((3, 2, 2), 255, np.uint8), "CYX"), "grey")
    assert np.allclose(white.read(), 255)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_haematoxylin_is_that_of_scikit_image(dtype: type) -> None:
    tissue = immunohistochemistry()[::3, ::3]
    full = {np.uint8: 255, np.uint16: 65535, np.float32: 1}[dtype]
    values = (tissue / 255 * full).round(0 if full > 1 else 7).astype(dtype)
    image = Image.from_array(values.transpose(2, 0, 1), "CYX")
    stain = select(image, "haematoxylin")
    assert (stain.channels, stain.dtype) == (1, np.float32)
    assert np.allclose(stain.read()[0], rgb2hed(values)[..., 0], atol=1e-6)


def test_haematoxylin_is_bright_where_the_stain_is() -> None:
    blue_violet, white = [90, 70, 160], [255, 255, 255]
    image = Image.from_array(np.array([[blue_violet, white]], np.uint8).transpose(2, 0, 1), "CYX")
    stained, empty = select(image, "haematoxylin").read().reshape(-1)
    assert stained > empty == 0


def test_a_stain_is_pointwise() -> None:
    box = Box((3, 2), (7, 9))
    whole = select(COLOUR, "haematoxylin")
    assert np.array_equal(whole.read(box), whole.read()[(slice(None), *box.slices)])


@pytest.mark.parametrize(
    ("dtype", "full"),
    [(np.uint16, 255), (np.int16, 255), (np.uint16, 1023), (np.uint16, 4095), (np.uint16, 65535), (np.int32, 4095),
     (np.float32, 1), (np.float32, 255), (np.float64, 4095)],
)  # fmt: skip
def test_light_is_that_of_the_bits_that_are_used(dtype: type, full: int) -> None:
    tissue = immunohistochemistry()[::5, ::5].transpose(2, 0, 1)
    image = Image.from_array((tissue / 255 * full).astype(dtype), "CYX")
    assert stained(look(image))
    seen, wanted = (select(one, "haematoxylin").read() for one in (image, Image.from_array(tissue, "CYX")))
    assert np.abs(seen - wanted).max() < (0.02 if full == 255 else 0.01)


def test_named_colours_may_lie_in_any_order() -> None:
    turned = Image(COLOUR.read()[::-1], "CYX", channel_names=("Blue", "green", "RED"))
    for how in ("grey", "haematoxylin"):
        assert np.array_equal(select(turned, how).read(), select(COLOUR, how).read())


def test_a_dark_frame_is_seen_in_the_light_of_its_series() -> None:
    dark, bright = (np.full((3, 4, 5), value, np.uint16) for value in (200, 4000))
    series = Image.from_array(np.concatenate([dark, bright], axis=1), "CYX")
    frame = replace(Image.from_array(dark, "CYX"), series=series)
    assert np.array_equal(select(frame, "haematoxylin").read(), select(series, "haematoxylin").read()[:, :4])
