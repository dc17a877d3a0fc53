"""Votes and points against their definitions."""

import numpy as np
import pytest
from cpv_scenes import heads, labels, whole
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from scipy.sparse.csgraph import connected_components
from toolkit_cpv.balls import balls
from toolkit_cpv.cpv import CpvLoss
from toolkit_cpv.gauss import GaussLoss
from toolkit_cpv.peaks import peaks
from toolkit_cpv.points import Points
from toolkit_cpv.vote import NOWHERE, counted, targets

from tests.golden import published
from toolkit.api import Backend, Box, Head, Instances, Prediction, Truth
from toolkit.testing import Catalogue, Lattice, assemble, blocks

SEEDS = st.integers(0, 10**6)
SHAPES = st.sampled_from([(30, 41), (1, 30), (9, 20, 17)])


def test_points_are_the_markers_of_the_published_program() -> None:
    data = published("cpv_label_gauss")
    for distance in (2, 3):
        found = Points(threshold=0.25, distance=distance).assemble(whole({"gauss": data["gauss"][None]}), Backend())
        np.testing.assert_array_equal(found.start, np.flatnonzero(data["markers"]))
        np.testing.assert_allclose(found.scores, np.clip(data["gauss"][data["markers"] > 0], 0, 1))


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(SEEDS, SHAPES, st.integers(1, 3), st.sampled_from([4, 1000]))
def test_points_are_one_for_each_plateau_of_local_maxima(
    seed: int, shape: tuple[int, ...], distance: int, levels: int
) -> None:
    smooth = ndimage.gaussian_filter(np.random.default_rng(seed).random(shape), 1.0)
    values = np.round((smooth - smooth.min()) / (np.ptp(smooth) + 1e-9) * levels) / levels
    top = ndimage.maximum_filter(values, 2 * distance - 1, mode="constant", cval=-1) == values
    where = np.argwhere(top & (values > 0.3))
    near = np.abs(where[:, None] - where[None]).max(-1) < distance
    _, plateau = connected_components(near)
    expected = []
    for name in np.unique(plateau):
        members = where[plateau == name]
        square = ((members * len(members) - members.sum(0)) ** 2).sum(1)
        expected.append(np.ravel_multi_index(tuple(members[square.argmin()]), shape))
    high = np.flatnonzero(values > 0.3)
    index, value = peaks(high, values.reshape(-1)[high], shape, distance)
    np.testing.assert_array_equal(index, sorted(expected))
    np.testing.assert_allclose(value, values.reshape(-1)[index], rtol=1e-6)


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(
    st.integers(0, 10**6), st.sampled_from([(40, 50), (12, 30, 31)]), st.integers(1, 40), st.booleans(), st.booleans()
)
def test_any_blocks_give_the_points_of_one_block(
    seed: int, shape: tuple[int, ...], size: int, votes: bool, coarse: bool
) -> None:
    spec = Points(source="votes" if votes else "gauss", votes=4, distance=3, unit="micrometre")
    everything = whole(heads(seed, shape, coarse), (1.5, 0.75, 0.75)[-len(shape) :])
    lattice = Lattice(shape, (8,) * len(shape), (4,) * len(shape))
    ours = assemble(spec, everything, blocks(lattice, size), lattice=lattice)
    expected = spec.assemble(everything, Backend())
    assert len(expected) > 0
    assert ours == expected
    np.testing.assert_array_equal(ours.scores, expected.scores)


def test_a_plateau_is_one_point_in_its_middle() -> None:
    gauss = np.zeros((1, 7, 9), np.float32)
    gauss[0, 2:5, 3:8] = 0.8
    found = Points().assemble(whole({"gauss": gauss}), Backend())
    assert found.start.tolist() == [3 * 9 + 5]
    assert found.scores.tolist() == pytest.approx([0.8])


@settings(max_examples=40, deadline=None)
@given(SEEDS, SHAPES, st.booleans(), st.sampled_from([1.0, 30.0, 200.0]))
def test_every_voter_votes_once_for_the_voxel_that_it_points_at(
    seed: int, shape: tuple[int, ...], clamp: bool, length: float
) -> None:
    rng = np.random.default_rng(seed)
    image = tuple(n + 60 for n in shape)
    box = Box.whole(shape).shift(tuple(int(v) for v in rng.integers(0, 60, len(shape))))
    vectors = (rng.integers(-8, 9, (len(shape), *shape)) * length / 8).astype(np.float32)
    voters = rng.random(shape) < 0.7
    expected = np.zeros(image, int)
    for place in np.argwhere(voters):
        target = place + np.array(box.start) + [round(float(v[tuple(place)])) for v in vectors]  # half to even
        target = np.clip(target, 0, np.array(image) - 1) if clamp else target
        if ((target >= 0) & (target < image)).all():
            expected[tuple(target)] += 1
    seen = Prediction({}, box, box, image)
    index, count = counted(targets(vectors[:, voters].T, np.flatnonzero(voters), seen, clamp=clamp))
    counts = np.zeros(expected.size, int)
    counts[index] = count
    np.testing.assert_array_equal(counts.reshape(image), expected)
    assert (np.diff(index) > 0).all()


def test_vectors_that_are_no_numbers_do_not_vote() -> None:
    vectors = np.array([np.nan, np.inf, -np.inf, 1e30, 0.0], np.float32).reshape(1, 1, 5).repeat(2, 0)
    seen = Prediction({}, Box((0, 0), (1, 5)), Box((0, 0), (1, 5)), (1, 5))
    found = targets(vectors.reshape(2, 5).T, np.arange(5), seen)
    assert found.tolist() == [NOWHERE, NOWHERE, NOWHERE, NOWHERE, 4]
    assert [part.tolist() for part in counted(found)] == [[4], [1]]


@pytest.mark.parametrize("shape", [(60, 70), (20, 40, 44)])
def test_perfect_heads_find_every_object_once(shape: tuple[int, ...]) -> None:
    image = labels(4, shape, 7, 7.0)
    truth = Truth.from_layers(image[None])
    gauss = GaussLoss().targets(truth)["gauss"]
    vectors = CpvLoss().targets(truth)["cpv"]
    vectors[:, image == 0] = 1e9
    for spec, found in ((Points(), {"gauss": gauss}), (Points(source="votes", votes=5), {"cpv": vectors})):
        counts = Catalogue().find("metrics", "detection")().count(truth, spec.assemble(whole(found), Backend()))
        assert counts == {"tp": [len(truth.ids)], "fp": [0], "fn": [0]}


def test_points_are_truth_enough_for_blobs() -> None:
    image = labels(4, (40, 50))
    truth = Truth.from_layers(image[None])
    # An image of points: one voxel for each object.
    points = np.zeros(image.shape, np.int32)
    middle = np.rint(truth.centres).astype(int)
    points[tuple(middle.T)] = truth.ids
    blobs = GaussLoss().targets(Truth.from_layers(points[None]))["gauss"][0]
    np.testing.assert_array_equal(np.argwhere(blobs == 1), sorted(middle.tolist()))


@settings(max_examples=20, deadline=None)
@given(SEEDS, SHAPES, st.sampled_from([0.0, 1.0, 2.5, 7.0]))
def test_balls_hold_what_is_near_their_points(seed: int, shape: tuple[int, ...], radius: float) -> None:
    rng = np.random.default_rng(seed)
    size = tuple(rng.choice([0.5, 0.75, 2.0], len(shape)).tolist())
    index = np.unique(rng.integers(0, np.prod(shape), 5))
    step = (np.array(size) / min(size)).reshape(-1, *(1,) * len(shape))
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"))
    centres = np.stack(np.unravel_index(index, shape), 1)
    planes = [(((grid - c.reshape(step.shape)) * step) ** 2).sum(0) <= radius**2 for c in centres]
    assert Instances.from_runs(shape, *balls(index, shape, size, radius)) == Instances.from_planes(np.array(planes))


def test_nothing_to_see_gives_no_points() -> None:
    empty = {"gauss": np.zeros((1, 4, 5), np.float32), "cpv": np.full((2, 4, 5), 99, np.float32)}
    for spec in (Points(), Points(source="votes")):
        assert spec.assemble(whole(empty), Backend()) == Instances.empty((4, 5))


def test_the_wrong_heads_are_refused_with_a_sentence() -> None:
    with pytest.raises(ValueError, match="points needs a head cpv of 3 channels"):
        Points(source="votes").check({"gauss": Head("gauss", 1)}, 3)


def test_a_vote_at_half_a_voxel_goes_to_the_even_one() -> None:
    shape = (9, 9)
    of = Prediction({}, Box.whole(shape), Box.whole(shape), shape)
    vectors = np.array([[0.5, -0.5], [1.5, 2.5], [-1.5, 0.4]], np.float32)
    at = np.full(3, np.ravel_multi_index((4, 4), shape))
    expected = [(4, 4), (6, 6), (2, 4)]
    assert targets(vectors, at, of).tolist() == [np.ravel_multi_index(place, shape) for place in expected]
