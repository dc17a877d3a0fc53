"""Objects of a part of an image: cut to a box or a mask, and marked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.errors import InputError, UsageError
from toolkit.steps.within import box, within
from toolkit.values.instances import Instances
from toolkit.values.tiles import Box


@st.composite
def scenes(draw: Any) -> tuple[np.ndarray, Box, np.ndarray]:
    """Planes of objects that may overlap, a box and a mask."""
    shape = draw(st.sampled_from([(7, 9), (3, 5, 6)]))
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    planes = rng.random((4, *shape)) < 0.4
    start = tuple(draw(st.integers(0, n - 1)) for n in shape)
    stop = tuple(draw(st.integers(a + 1, n)) for a, n in zip(start, shape, strict=True))
    return planes, Box(start, stop), rng.random(shape) < 0.8


@given(scenes(), st.booleans(), st.booleans())
def test_what_is_left_of_objects_lies_inside_and_who_lost_voxels_is_marked(drawn: Any, roi: bool, masked: bool) -> None:
    planes, part, mask = drawn
    inside = np.ones(planes.shape[1:], bool)
    if roi:
        inside[:] = False
        inside[part.slices] = True
    if masked:
        inside &= mask
    scores = np.array([0.0, 0.25, 0.5, 1.0])
    found, cut = within(Instances.from_planes(planes, scores.tolist()), part if roi else None, mask if masked else None)
    left = planes & inside
    assert found == Instances.from_planes(left)
    for k in range(len(found)):
        plane = scores.tolist().index(float(found.scores[k]))
        assert found.sizes[k] == left[plane].sum()
        assert cut[k] == (left[plane].sum() < planes[plane].sum())


def test_a_box_is_first_and_last_of_each_axis() -> None:
    assert box("2:5, :7", (10, 20), "a") == Box((2, 0), (5, 7))
    assert box("8:99,3:", (10, 20), "a") == Box((8, 3), (10, 20))
    with pytest.raises(InputError, match="2 axes and the image has 3"):
        box("2:5,3:7", (4, 10, 20), "a")
    with pytest.raises(InputError, match="outside"):
        box("12:15,3:7", (10, 20), "a")


@pytest.mark.parametrize("text", ["", "3", "5:2,1:2", "a:b,1:2", "-1:4,0:3", "1:2:3,0:1"])
def test_what_is_no_box_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="a box is first:last"):
        box(text, (10, 20), "a")
