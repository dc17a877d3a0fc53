"""Where pixels are trained to point, against the published program and the definition."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toolkit_embedseg import centres
from toolkit_embedseg.centres import centre

from tests.golden import published


@pytest.mark.parametrize("rule", ["medoid", "centroid", "approximate_medoid"])
@pytest.mark.parametrize("ndim", [2, 3])
def test_centres_are_those_of_the_published_program(rule: str, ndim: int) -> None:
    data = published("embedseg_centers_norm")
    labels = data[f"labels{ndim}d"]
    expected = data[rule if ndim == 2 else f"{rule}_3d"]
    found = np.zeros(labels.shape, bool)
    for name in np.unique(labels[labels > 0]):
        found[tuple(centre(np.argwhere(labels == name), rule, (1.0,) * ndim))] = True
    np.testing.assert_array_equal(found, expected)


def blob(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.argwhere(rng.random(shape) < rng.uniform(0.2, 1))


def distances(points: np.ndarray, voxel_size: tuple[float, ...]) -> np.ndarray:
    """Sum of the distances of each point, as the definition says."""
    gap = (points[:, None] - points) * np.array(voxel_size)
    return np.sqrt((gap**2).sum(-1)).sum(1)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([(24, 31), (5, 200), (9, 11, 10)]), st.sampled_from([1.0, 2.1875]))
def test_the_medoid_has_the_least_mean_distance(seed: int, shape: tuple[int, ...], thick: float) -> None:
    points, voxel_size = blob(seed, shape), (thick, *(1.0,) * (len(shape) - 1))
    every = distances(points, voxel_size)
    found = np.flatnonzero((points == centre(points, "medoid", voxel_size)).all(1))
    assert every[found] <= every.min() * (1 + 1e-8)


def test_of_equal_medoids_the_first_in_raster_order_counts() -> None:
    square = np.argwhere(np.ones((20, 20), bool))
    assert len(square) ** 2 > centres.PAIRS
    assert centre(square, "medoid", (1.0, 1.0)).tolist() == [9, 9]


@pytest.mark.slow
def test_a_sampled_medoid_is_a_few_per_cent_from_the_best(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(centres, "ROOM", 1)
    for seed in range(5):
        points = blob(seed, (60, 70))
        every = distances(points, (1.0, 1.0))
        found = np.flatnonzero((points == centre(points, "medoid", (1.0, 1.0))).all(1))
        assert every[found] <= 1.05 * every.min()


@pytest.mark.slow
@pytest.mark.parametrize("room", [centres.ROOM, 1], ids=["exact", "sampled"])
def test_the_memory_of_a_medoid_does_not_grow_with_the_square_of_the_pixels(
    room: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(centres, "ROOM", room)
    points = np.argwhere(np.ones((300, 300), bool))
    centre(points[:5000], "medoid", (1.0, 1.0))  # what is imported lazily
    tracemalloc.start()
    centre(points, "medoid", (1.0, 1.0))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < len(points) * 1000  # all pairs would take 72 000 bytes per pixel
