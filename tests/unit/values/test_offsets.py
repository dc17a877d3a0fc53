"""Pairs of voxels at an offset against their definition."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from toolkit.values.offsets import at_offset, ends

shapes = st.lists(st.integers(1, 5), min_size=2, max_size=3)


@given(st.data())
def test_the_ends_are_all_pairs_inside_and_no_others(data: st.DataObject) -> None:
    shape = data.draw(shapes)
    offset = data.draw(st.lists(st.integers(-7, 7), min_size=len(shape), max_size=len(shape)))
    index = np.moveaxis(np.indices(shape), 0, -1)
    here, there = ends(shape, offset)
    inside = [
        x
        for x in map(tuple, index.reshape(-1, len(shape)))
        if all(0 <= a + o < n for a, o, n in zip(x, offset, shape, strict=True))
    ]
    assert [tuple(x) for x in index[here].reshape(-1, len(shape))] == inside
    np.testing.assert_array_equal(index[there], index[here] + offset)


@given(st.data())
def test_what_is_seen_at_an_offset_is_the_voxel_there_and_nothing_beyond_the_border(data: st.DataObject) -> None:
    shape = data.draw(shapes)
    offset = data.draw(st.lists(st.integers(-7, 7), min_size=len(shape), max_size=len(shape)))
    mask = np.random.default_rng(0).random(shape) < 0.5
    seen = at_offset(mask, offset)
    for x in np.ndindex(*shape):
        there = tuple(a + o for a, o in zip(x, offset, strict=True))
        assert seen[x] == (all(0 <= a < n for a, n in zip(there, shape, strict=True)) and mask[there])
