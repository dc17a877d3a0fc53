from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from toolkit.exchange.trace import outlines
from toolkit.io.contours import _runs
from toolkit.values.instances import Instances


def filled(instances: Instances) -> Instances:
    """The objects again, from their outlines."""
    shape = instances.shape
    starts, lengths, owners = [], [], []
    for one in outlines(instances):
        rings = [ring.astype(np.float64) for polygon in one.polygons for ring in polygon]
        start, length = _runs(rings, (shape[-2], shape[-1]))
        plane = int(np.ravel_multi_index(one.plane, shape[:-2])) if one.plane else 0
        starts.append(start + plane * shape[-2] * shape[-1])
        lengths.append(length)
        owners.append(np.full(len(start), one.id - 1))
    none = [np.zeros(0, np.int64)]
    return Instances.from_runs(shape, *(np.concatenate(v or none) for v in (starts, lengths, owners)), instances.scores)


@settings(max_examples=200, deadline=None)
@given(arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 3)))
def test_whoever_fills_the_outlines_has_the_pixels_again(labels: np.ndarray) -> None:
    found = Instances.from_labels(labels)
    assert filled(found) == found


@settings(max_examples=40, deadline=None)
@given(arrays(np.bool_, st.tuples(st.integers(1, 3), st.integers(2, 4), st.integers(1, 7), st.integers(1, 7))))
def test_planes_of_volumes_have_outlines_of_their_own_and_overlaps_are_kept(planes: np.ndarray) -> None:
    found = Instances.from_planes(planes)
    assert filled(found) == found


@settings(max_examples=100, deadline=None)
@given(arrays(np.bool_, st.tuples(st.integers(1, 12), st.integers(1, 12))))
def test_rings_are_valid_polygons(mask: np.ndarray) -> None:
    for one in outlines(Instances.from_labels(mask.astype(np.uint8))):
        for polygon in one.polygons:
            for number, ring in enumerate(polygon):
                x, y = ring.T.astype(int)
                area = (x * np.roll(y, -1) - np.roll(x, -1) * y).sum() / 2
                assert area < 0 if number else area > 0, "outer rings go round one way, holes the other"
                steps = np.roll(ring, -1, axis=0) - ring
                assert (np.count_nonzero(steps, axis=1) == 1).all(), "along the edges of pixels"
                turned = (steps != 0) != (np.roll(steps, -1, axis=0) != 0)
                assert turned.all(), "corners alone"


def test_a_hole_belongs_to_the_piece_around_it() -> None:
    mask = np.zeros((20, 40), np.uint8)
    mask[2:18, 2:18], mask[5:15, 5:15], mask[8:12, 8:12] = 1, 0, 1
    mask[3:9, 25:35], mask[5:7, 28:32] = 1, 0
    (one,) = outlines(Instances.from_labels(mask))
    by_size = sorted(([len(p), p[0][:, 0].min()] for p in one.polygons), key=lambda v: v[1])
    assert by_size == [[2, 2], [1, 8], [2, 25]]
