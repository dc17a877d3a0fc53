from __future__ import annotations

from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from toolkit.io.outline import outlines, palette, smoothed
from toolkit.io.overlay import LONGEST, backdrop, flat, write_overlay
from toolkit.values.image import Image
from toolkit.values.instances import Instances


def picture(path: Path) -> np.ndarray:
    return imagecodecs.png_decode(path.read_bytes())


def disc(shape: tuple[int, int], centre: tuple[int, int], radius: int) -> np.ndarray:
    y, x = np.ogrid[: shape[0], : shape[1]]
    return (y - centre[0]) ** 2 + (x - centre[1]) ** 2 <= radius**2


def test_small_images_are_magnified_and_large_ones_shrunk(tmp_path: Path) -> None:
    for shape, wanted in (((60, 80), (480, 640)), ((300, 500), (600, 1000)), ((1500, 1600), (1500, 1600))):
        image = Image.from_array(np.zeros(shape, np.uint8))
        write_overlay(tmp_path / "a.png", image, Instances.from_labels(disc(shape, (30, 30), 9).astype(int)))
        assert picture(tmp_path / "a.png").shape == (*wanted, 3)
    shape = (100, 9000)
    image = Image.from_array(np.zeros(shape, np.uint8))
    write_overlay(tmp_path / "a.png", image, Instances.from_labels(disc(shape, (30, 30), 9).astype(int)))
    assert max(picture(tmp_path / "a.png").shape) <= LONGEST


@pytest.mark.parametrize("shape", [(1, 4000), (4000, 1), (3, 40_000), (1, 1)])
def test_a_line_has_a_picture(tmp_path: Path, shape: tuple[int, int]) -> None:
    labels = np.zeros(shape, int)
    labels[:, : shape[1] // 2 + 1] = 1
    write_overlay(tmp_path / "a.png", Image.from_array(np.full(shape, 9, np.uint8)), Instances.from_labels(labels))
    assert min(picture(tmp_path / "a.png").shape[:2]) >= 1


def test_an_outline_surrounds_its_object_and_leaves_inside_and_outside_alone(tmp_path: Path) -> None:
    mask = disc((100, 100), (50, 50), 30)
    image = Image.from_array(np.where(mask, 100, 0).astype(np.uint8))
    write_overlay(tmp_path / "a.png", image, Instances.from_labels(mask.astype(int)))
    write_overlay(tmp_path / "b.png", image, Instances.empty(image.shape))
    changed = (picture(tmp_path / "a.png") != picture(tmp_path / "b.png")).any(axis=2)
    zoom = changed.shape[0] // 100
    ring = disc(changed.shape, (50 * zoom, 50 * zoom), 31 * zoom) & ~disc(
        changed.shape, (50 * zoom, 50 * zoom), 28 * zoom
    )
    assert changed.any()
    assert not (changed & ~ring).any()
    angles = np.angle(np.exp(1j * np.arctan2(*(np.argwhere(changed) - 50 * zoom).T)))
    assert len(np.unique((angles * 20).astype(int))) > 120


def test_overlapping_objects_both_show_their_outline() -> None:
    planes = np.stack([disc((100, 100), (50, 40), 25), disc((100, 100), (50, 60), 25)])
    both = outlines(Instances.from_planes(planes), 1, light=False)[1]
    for plane in planes:
        alone = outlines(Instances.from_planes(plane[None]), 1, light=False)[1]
        assert (both >= alone - 1e-6).all()


def test_each_object_has_a_colour_of_its_own() -> None:
    for light in (False, True):
        colours = palette(100, light)[1:]
        assert len(np.unique(colours, axis=0)) == 100
        luminance = colours @ [0.2126, 0.7152, 0.0722]
        assert (luminance <= 0.41).all() if light else (luminance >= 0.49).all()


def test_a_volume_is_shown_by_its_brightest_voxels_and_whole_objects() -> None:
    volume = np.zeros((3, 10, 12), np.uint8)
    volume[0, 2, 3] = volume[2, 7, 8] = 200
    shown = backdrop(Image.from_array(volume), 1)
    assert shown.shape == (10, 12, 3)
    assert shown[2, 3].min() == shown[7, 8].min() == 1
    instances = Instances.from_labels(volume.astype(int) + np.arange(3)[:, None, None] * (volume > 0))
    assert flat(instances, 1).layers().max(0).astype(bool).sum() == 2


def test_colours_are_shown_as_they_are_and_other_images_are_stretched() -> None:
    colour = np.full((3, 8, 9), 51, np.uint8)
    assert backdrop(Image.from_array(colour, "CYX"), 1) == pytest.approx(0.2)
    grey = np.tile(np.arange(100, 200, dtype=np.uint16), (10, 1))
    shown = backdrop(Image.from_array(grey), 1)
    assert (shown.min(), shown.max()) == (0, 1)
    assert (np.diff(shown[0, :, 0]) >= 0).all()
    flat_image = backdrop(Image.from_array(np.full((8, 9), np.nan, np.float32)), 1)
    assert np.isfinite(flat_image).all()


@given(st.integers(1, 4), st.integers(1, 4))
def test_shrinking_averages_blocks_of_pixels(shrink: int, extra: int) -> None:
    image = (
        np.random.default_rng(shrink).integers(0, 255, (3, 8 * shrink + extra % shrink, 6 * shrink)).astype(np.uint8)
    )
    shown = backdrop(Image.from_array(image, "CYX"), shrink)
    wanted = image[:, : 8 * shrink].reshape(3, 8, shrink, 6, shrink).mean(axis=(2, 4)) / 255
    assert shown == pytest.approx(wanted.transpose(1, 2, 0), abs=1e-5)


def test_no_object_vanishes_when_the_picture_shrinks() -> None:
    labels = np.zeros((50, 50), int)
    labels[::7, ::7] = np.arange(1, 65).reshape(8, 8)
    assert len(flat(Instances.from_labels(labels), 5)) == 64


@given(hnp.arrays(np.uint16, (6, 7), elements=st.integers(0, 3)), st.sampled_from([2, 4]))
def test_smoothing_invents_no_labels_and_keeps_straight_borders(labels: np.ndarray, zoom: int) -> None:
    fine = smoothed(labels, zoom)
    assert fine.shape == (6 * zoom, 7 * zoom)
    assert set(np.unique(fine)) <= set(np.unique(labels))
    halves = np.repeat([[1], [2]], 3, axis=0) * np.ones((1, 7), int)
    assert np.array_equal(smoothed(halves, zoom), halves.repeat(zoom, 0).repeat(zoom, 1))
