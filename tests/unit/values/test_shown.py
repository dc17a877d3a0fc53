from __future__ import annotations

import base64
import re

import imagecodecs
import numpy as np
import pytest
from hypothesis import given

from toolkit.testing.strategies import instances
from toolkit.values.instances import Instances
from toolkit.values.shown import SIDE, thumbnail


def crossing(shape: tuple[int, int] = (12, 15)) -> Instances:
    planes = np.zeros((3, *shape), bool)
    planes[0, 2, :], planes[1, :, 4], planes[2, 9:11, 9:12] = True, True, True
    return Instances.from_planes(planes, [0.5, 0.25, 1])


def test_objects_say_in_one_line_how_many_they_are() -> None:
    assert repr(crossing()) == "Instances: 3 objects in 12×15 voxels"
    assert repr(crossing().select([0])) == "Instances: 1 object in 12×15 voxels"
    assert repr(Instances.empty((3, 4, 5))) == "Instances: 0 objects in 3×4×5 voxels"


def test_a_notebook_shows_the_count_the_overlaps_and_a_picture() -> None:
    html = crossing()._repr_html_()
    assert "3 objects in 12×15 voxels, 1 overlapping pairs" in html
    (data,) = re.findall(r"base64,([^\"]+)", html)
    picture = imagecodecs.png_decode(base64.b64decode(data))
    assert picture.shape == (12, 15, 3)
    assert (picture[2, 4] == 255).all()
    assert not picture[0, 0].any()
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) == 5  # ground, three objects, where two are


@pytest.mark.parametrize("shape", [(9, 2000), (3, 700, 300), (2, 2, 20, 30)])
def test_a_thumbnail_is_small_whatever_the_image(shape: tuple[int, ...]) -> None:
    labels = np.zeros(shape, int)
    labels[..., 3:5, 7:20] = 1
    labels[..., -1, -1] = 2
    picture = imagecodecs.png_decode(thumbnail(Instances.from_labels(labels)))
    assert max(picture.shape) <= SIDE
    assert picture[-1, -1].any()
    assert imagecodecs.png_decode(thumbnail(Instances.empty(shape))).max() == 0


@given(instances())
def test_one_object_after_the_other_has_the_voxels_of_all(found: Instances) -> None:
    objects = list(found)
    assert [o.id for o in objects] == list(range(1, len(found) + 1))
    assert [o.score for o in objects] == found.scores.tolist()
    assert [o.size for o in objects] == found.sizes.tolist()
    covered = np.zeros(found.shape, bool)
    for one in objects:
        assert one.mask.shape == one.box.shape
        covered[one.box.slices] |= one.mask
    assert np.array_equal(covered, found.to_labels() > 0)
    if objects:
        assert found[-1].id == len(found)
    with pytest.raises(IndexError, match="no object"):
        found[len(found)]
