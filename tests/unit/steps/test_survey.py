"""What is known of images and of the objects in them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit import scenes
from toolkit.steps.survey import Seen, Survey
from toolkit.values.image import Image
from toolkit.values.truth import Truth

FIELDS = ("shapes", "sizes", "extents", "widths", "fills")
SHARES = ("share", "touching", "overlapping", "unknown")


@given(st.lists(scenes.seeds, min_size=1, max_size=4))
def test_a_survey_of_many_images_holds_all_objects_of_each(seeds: list[int]) -> None:
    truths = [Truth.from_layers(scenes.labels(seed)[None].astype(np.int32)) for seed in seeds]
    whole, parts = Survey.of(truths), [Survey.of([truth]) for truth in truths]
    for name in FIELDS:
        assert (getattr(whole, name) == np.concatenate([getattr(p, name) for p in parts])).all()
    assert whole.objects == sum(len(t.instances) for t in truths)
    weights = [p.objects for p in parts]
    if sum(weights):
        assert whole.touching == pytest.approx(np.average([p.touching for p in parts], weights=weights))
    assert all(0 <= getattr(whole, name) <= 1 for name in SHARES)
    back = Survey.of(truths[::-1])
    assert all(getattr(whole, name) == pytest.approx(getattr(back, name)) for name in SHARES)


def test_shares_of_objects_that_touch_and_overlap_are_counted() -> None:
    layers = np.zeros((2, 10, 40), np.int32)
    layers[0, 2:8, 2:8], layers[0, 2:8, 8:14] = 1, 2  # two that touch
    layers[0, 2:8, 20:26], layers[1, 4:9, 22:30] = 3, 4  # two that overlap
    layers[0, 9] = -1
    seen = Survey.of([Truth.from_layers(layers)])
    assert (seen.touching, seen.overlapping) == (0.5, 0.5)
    assert (seen.crowded, seen.overlap, seen.bent, seen.points) == (True, True, False, False)
    assert seen.unknown == pytest.approx(40 / 400)
    apart = Survey.of([Truth.from_layers(layers[:1, :, :8])])
    assert (apart.touching, apart.overlapping, apart.crowded, apart.overlap) == (0, 0, False, False)


def test_objects_that_are_bent_are_told_from_compact_ones() -> None:
    labels = np.zeros((1, 80, 90), np.int32)
    labels[0, 10:70, 10:14] = labels[0, 66:70, 10:80] = 1
    seen = Survey.of([Truth.from_layers(labels)])
    assert seen.bent
    assert seen.shape.startswith("the objects are bent or branched")
    assert not Survey.of([Truth.from_layers(labels[:, :60])]).bent


def test_an_image_tells_axes_channels_and_voxel_size() -> None:
    image = Image.from_array(np.zeros((2, 5, 6, 7), np.uint16), "CZYX", voxel_size=(2.0, 0.5, 0.5), calibrated=True)
    seen = Survey.of([image])
    assert (seen.ndim, seen.channels, seen.voxel_size, seen.calibrated) == (3, (2,), (2.0, 0.5, 0.5), True)
    assert (seen.objects, seen.points, seen.bent, seen.stained) == (0, False, False, False)
    two = Survey.of([image, Image.from_array(np.zeros((5, 6, 7), np.uint8))])
    assert (two.channels, two.calibrated) == ((1, 2), False)


@pytest.mark.parametrize(
    ("ground", "green", "dtype", "stained"),
    [(0.9, 0.8, np.uint8, True), (0.9, 0.8, np.uint16, True), (0.1, 0.05, np.uint8, False),
     (0.9, 0.9, np.uint8, False), (0.9, 0.8, np.float32, True)],
)  # fmt: skip
def test_only_colours_on_a_bright_ground_are_a_stain(ground: float, green: float, dtype: type, stained: bool) -> None:
    full = np.iinfo(dtype).max if dtype is not np.float32 else 1
    voxels = np.full((3, 600, 700), ground * full, dtype)
    voxels[1] = green * full
    voxels[:, 200:300, 200:300] //= 2
    assert Seen.of(Image.from_array(voxels, "CYX")).stained is stained
