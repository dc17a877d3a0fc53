"""The clustering against its sequential definition."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toolkit_embedseg import few
from toolkit_embedseg.cluster import EmbedSegClusters
from toolkit_embedseg.greedy import surest

from tests.golden import published
from toolkit.api import Backend, Box, Instances, Prediction
from toolkit.testing import Lattice, assemble, blocks


@pytest.fixture(scope="module", autouse=True, params=["few pixels", "compiled"])
def way(request: pytest.FixtureRequest):
    """Both ways of the processor, whatever the size."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "compiled":
            patch.setattr(few, "PIXELS", 0)
        yield


def literal(spec: EmbedSegClusters, heads: dict[str, np.ndarray]) -> Instances:
    """The paper's words, one seed at a time over all pixels."""
    seediness = heads["seediness"][0]
    axes = np.meshgrid(*map(np.arange, seediness.shape), indexing="ij")
    left = seediness > spec.foreground
    planes, scores = [], []
    while (left & (seediness >= np.float32(spec.seed))).any():
        seed = np.unravel_index(np.argmax(np.where(left, seediness, -1)), left.shape)
        distance = np.zeros(left.shape)
        for d, axis in enumerate(axes):
            offset = heads["offsets"][d]
            gap = (axis - seed[d]) / (spec.grid - 1) + (offset - offset[seed]).astype(float)
            distance += np.exp(10 * heads["bandwidth"][d][seed]).astype(np.float32) * gap**2
        mask = left & (distance < np.log(2))
        left &= ~mask
        if mask.sum() >= spec.min_size:
            planes.append(mask)
            scores.append(seediness[seed])
    return Instances.from_planes(np.array(planes).reshape(-1, *left.shape), scores)


def random_heads(rng: np.random.Generator, shape: tuple[int, ...], grid: int) -> dict[str, np.ndarray]:
    """Embeddings of a crowd: pixels point at the nearest of a few centres, more or less."""
    points = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
    centres = rng.uniform(0, shape, (max(2, int(np.prod(shape)) // 150), len(shape)))
    gap = centres - points[..., None, :]
    nearest = np.argmin((gap**2).sum(-1), -1)
    offset = np.take_along_axis(gap, nearest[..., None, None], -2)[..., 0, :] + rng.normal(0, 1.5, points.shape)
    sigma = rng.uniform(1.5, 6, (*shape, len(shape))) / (grid - 1)
    return {
        "offsets": np.moveaxis(offset / (grid - 1), -1, 0).astype(np.float32),
        "bandwidth": (np.log(1 / (2 * np.moveaxis(sigma, -1, 0) ** 2)) / 10).astype(np.float32),
        "seediness": rng.choice(np.linspace(0, 1, 41), (1, *shape)).astype(np.float32),
    }


def whole(heads: dict[str, np.ndarray]) -> Prediction:
    shape = heads["seediness"].shape[1:]
    return Prediction(heads, Box.whole(shape), Box.whole(shape), shape)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([(30, 41), (1, 30), (9, 20, 17)]), st.sampled_from([1, 12]))
def test_the_grid_gives_exactly_the_sequential_definition(seed: int, shape: tuple[int, ...], min_size: int) -> None:
    heads = random_heads(np.random.default_rng(seed), shape, 64)
    spec = EmbedSegClusters(grid=64, seed=0.8, min_size=min_size)
    found, expected = spec.assemble(whole(heads), Backend()), literal(spec, heads)
    assert found == expected
    np.testing.assert_array_equal(found.scores, expected.scores)


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([(40, 50), (12, 30, 31)]), st.integers(1, 40))
def test_any_blocks_give_the_instances_of_one_block(seed: int, shape: tuple[int, ...], size: int) -> None:
    heads = random_heads(np.random.default_rng(seed), shape, 64)
    spec = EmbedSegClusters(grid=64, seed=0.8, min_size=5)
    everything = whole(heads)
    lattice = Lattice(shape, (8,) * len(shape), (4,) * len(shape))
    ours = assemble(spec, everything, blocks(lattice, size), lattice=lattice)
    assert ours == spec.assemble(everything, Backend())


PUBLISHED = (
    "2d_case1_minobj10",
    "2d_case1_touching",
    "2d_case2_default_thresh",
    "2d_case3_ties_minobj35",
    "2d_case3_ties_minobj36",
    "2d_case4_empty",
    "2d_case1_localmax",
    "3d_case1",
)


@pytest.mark.parametrize("case", PUBLISHED)
def test_overwriting_clusters_are_those_of_the_published_program(case: str) -> None:
    data = published(f"embedseg_{case}")
    options = json.loads(str(data["params"]))
    raw = data["prediction"]
    ndim = raw.ndim - 1
    # The published order of axes is x, y(, z).
    heads = {
        "offsets": np.tanh(raw[:ndim][::-1]),
        "bandwidth": raw[ndim : 2 * ndim][::-1],
        "seediness": 1 / (1 + np.exp(-raw[2 * ndim :])),
    }
    spec = EmbedSegClusters(
        grid=options["grid_x"],
        anisotropy=(2.0, 1.0, 1.0) if ndim == 3 else (),
        foreground=options["fg_thresh"],
        seed=options.get("seed_thresh", 0.9),
        min_size=options["min_object_size"] + 1,  # the published program keeps sizes above it only
        claim="overwrite",
        seeds="local_maxima" if options["method"] == "cluster_local_maxima" else "greedy",
    )
    assert spec.assemble(whole(heads), Backend()) == Instances.from_labels(data["instances"])


def test_an_empty_prediction_has_no_instances() -> None:
    heads = {"offsets": np.zeros((2, 5, 6)), "bandwidth": np.ones((2, 5, 6)), "seediness": np.zeros((1, 5, 6))}
    assert len(EmbedSegClusters().assemble(whole(heads), Backend())) == 0


def test_the_wrong_heads_are_refused_with_a_sentence() -> None:
    from toolkit.api import Head

    with pytest.raises(ValueError, match="needs a head offsets of 2 channels"):
        EmbedSegClusters().check({"foreground": Head("foreground", 1)}, 2)


@pytest.mark.parametrize(("last", "expected"), [(6, []), (7, [[1, 2, 3, 4, 5, 6, 7]])])
def test_a_proposal_is_accepted_if_more_than_half_of_it_is_free(last: int, expected: list[list[int]]) -> None:
    """A row of foreground from 1 to `last`: the seed at 1 proposes 1 and 2, of which half is free beside it, and takes
    them all the same; then the seed at 3 proposes all of the row, of which 4 … `last` are free."""
    shape, grid = (1, 10), 64
    seediness = np.zeros((1, *shape), np.float32)
    seediness[0, 0, 1 : last + 1] = 0.6
    seediness[0, 0, 1], seediness[0, 0, 3] = 0.99, 0.95
    reach = np.ones(shape)
    reach[0, 1], reach[0, 3] = 1.5, last - 2.5
    bandwidth = np.log(np.log(2) / (reach / (grid - 1)) ** 2) / 10
    heads = {"offsets": np.zeros((2, *shape), np.float32), "bandwidth": np.stack([bandwidth] * 2).astype(np.float32)}
    spec = EmbedSegClusters(grid=grid, claim="overwrite")
    found = spec.assemble(whole({**heads, "seediness": seediness}), Backend())
    assert [found.voxels(k).tolist() for k in range(len(found))] == expected


@pytest.mark.parametrize("claim", ["overwrite", "remove"])
@pytest.mark.parametrize("shape", [(40, 57), (8, 20, 17)])
def test_compiled_code_gives_what_few_pixels_get_without_it(
    claim: str, shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    heads = random_heads(np.random.default_rng(3), shape, 64)
    spec = EmbedSegClusters(grid=64, seed=0.6, foreground=0.3, min_size=4, claim=claim, seeds="greedy")
    piece = spec.keep(whole(heads), Backend())
    found = {}
    for pixels, work in ((0, 0), (few.PIXELS, few.WORK), (few.PIXELS, 20 * few.PROPOSAL)):
        monkeypatch.setattr(few, "PIXELS", pixels)
        monkeypatch.setattr(few, "WORK", work)
        found[pixels, work] = spec.settle(piece, Backend()).digest
    assert len(spec.settle(piece, Backend())) > 5
    assert len({*found.values()}) == 1
    assert len(found) == 3


@given(
    st.lists(st.sampled_from([0.0, -0.0, 0.25, 0.9, np.nextafter(np.float32(0.9), np.float32(1)), 1.0]), max_size=40)
)
def test_seeds_come_from_the_surest_on_and_equal_ones_in_raster_order(values: list[float]) -> None:
    seediness = np.array(values, np.float32)
    for least in (0.0, 0.9):
        some = np.flatnonzero(seediness >= np.float32(least))
        assert surest(seediness, least).tolist() == sorted(some, key=lambda s: (-seediness[s], s))
