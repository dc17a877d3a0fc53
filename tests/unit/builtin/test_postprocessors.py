"""Threshold, watersheds and agglomeration: any blocks give the same instances, and these are the right ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from toolkit.builtin.postprocessors.agglomeration import Agglomeration
from toolkit.builtin.postprocessors.from_foreground import FromForeground
from toolkit.builtin.postprocessors.mutex import MutexWatershed, usual_offsets
from toolkit.builtin.postprocessors.threshold import Threshold
from toolkit.builtin.postprocessors.watershed import Watershed
from toolkit.gpu.backend import Backend
from toolkit.testing.blockwise import Heads, assemble, grid, prediction
from toolkit.testing.strategies import labels, partitions, shapes
from toolkit.values.instances import Instances
from toolkit.values.prediction import Head
from toolkit.values.voxels import Voxels

SEEDS = st.integers(0, 2**31)
POSTPROCESSORS = [Threshold(min_size=1), Watershed(min_size=1), Watershed(min_size=3, smoothing=0, depth=0.3),
                  MutexWatershed(min_size=1), MutexWatershed(min_size=2, far_merges=True, bias=0.4),
                  Agglomeration(min_size=1), Agglomeration(min_size=2, fragments="slices", dust=3)]  # fmt: skip


def field(seed: int, shape: tuple[int, ...], channels: int, sigma: float = 1.2) -> np.ndarray:
    """Smooth random probabilities."""
    rng = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(rng.standard_normal((channels, *shape)), (0, *(sigma,) * len(shape)))
    return (1 / (1 + np.exp(-4 * smooth / smooth.std()))).astype(np.float32)


def random_heads(seed: int, shape: tuple[int, ...], boundary: bool = True) -> Heads:
    heads = {"foreground": field(seed, shape, 1), "affinities": field(seed + 1, shape, len(usual_offsets(len(shape))))}
    return heads | ({"boundary": field(seed + 2, shape, 1)} if boundary else {})


@st.composite
def problems(draw: st.DrawFn) -> tuple[Heads, list, tuple[float, ...]]:
    shape = draw(shapes(smallest=2, largest=22))
    size = tuple(draw(st.sampled_from([0.3, 1.0, 1.75])) for _ in shape)
    return random_heads(draw(SEEDS), shape, draw(st.booleans())), draw(partitions(shape)), size


@pytest.mark.slow
@pytest.mark.parametrize("spec", POSTPROCESSORS, ids=lambda s: repr(s)[:40])
@settings(max_examples=60, deadline=None)
@given(problem=problems(), order=st.randoms(use_true_random=False))
def test_any_blocks_in_any_order_give_the_instances_and_scores_of_one(
    spec: FromForeground, problem: tuple, order: object
) -> None:
    heads, blocks, size = problem
    whole = prediction(heads, size)
    one = assemble(spec, whole)
    order.shuffle(blocks)
    many = assemble(spec, whole, blocks)
    assert many == one
    assert np.array_equal(many.scores, one.scores)


@pytest.mark.parametrize("spec", POSTPROCESSORS, ids=lambda s: repr(s)[:40])
@settings(max_examples=25, deadline=None)
@given(seed=SEEDS)
def test_instances_lie_in_the_foreground_apart_and_large_enough(spec: FromForeground, seed: int) -> None:
    heads = random_heads(seed, (20, 24))
    spec = spec.model_copy(update={"min_size": 5})
    found = assemble(spec, prediction(heads))
    assert len(found.overlapping_pairs()[0]) == 0
    assert (found.sizes >= 5).all()
    assert not (found.to_labels() > 0)[heads["foreground"][0] <= spec.foreground].any()


@settings(max_examples=40, deadline=None)
@given(problem=problems())
def test_threshold_finds_the_connected_components(problem: tuple) -> None:
    heads, blocks, size = problem
    expected = Instances.from_labels(ndimage.label(heads["foreground"][0] > 0.5)[0])
    assert assemble(Threshold(min_size=1), prediction(heads, size), blocks) == expected


@settings(max_examples=30, deadline=None)
@given(seed=SEEDS)
def test_a_score_is_the_mean_foreground_probability(seed: int) -> None:
    heads = random_heads(seed, (16, 20))
    found = assemble(Threshold(min_size=1), prediction(heads))
    mean = [heads["foreground"].reshape(-1)[found.voxels(k)].mean() for k in range(len(found))]
    assert np.allclose(found.scores, mean, atol=1 / 255)


@pytest.mark.parametrize("spec", [Threshold(min_size=1), Watershed(min_size=1), MutexWatershed(min_size=1)])
@settings(max_examples=15, deadline=None)
@given(seed=SEEDS)
def test_an_image_is_a_volume_of_one_slice(spec: FromForeground, seed: int) -> None:
    offsets = usual_offsets(2)
    if isinstance(spec, MutexWatershed):
        spec = spec.model_copy(update={"offsets": tuple((0, *offset) for offset in offsets)})
    heads = random_heads(seed, (18, 20))
    flat = assemble(spec, prediction({name: head[:, None] for name, head in heads.items()}))
    if isinstance(spec, MutexWatershed):
        spec = spec.model_copy(update={"offsets": offsets})
    assert np.array_equal(flat.to_labels()[0], assemble(spec, prediction(heads)).to_labels())


def two_balls(shape: tuple[int, ...], apart: float, radius: float, spacing: tuple[float, ...]) -> np.ndarray:
    """Two overlapping balls along the last axis, in micrometres."""
    middle = (np.array(shape) - 1) / 2 * spacing
    grid_um = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1) * spacing
    aside = np.eye(len(shape))[-1] * apart / 2
    return np.minimum(*(np.linalg.norm(grid_um - middle - s * aside, axis=-1) for s in (1, -1))) < radius


@pytest.mark.parametrize(
    ("shape", "spacing"), [((40, 60), (1.0, 1.0)), ((20, 60), (2.0, 1.0)), ((12, 36, 60), (3.0, 1.0, 1.0))]
)
def test_watershed_parts_two_touching_balls_in_the_middle(shape: tuple[int, ...], spacing: tuple[float, ...]) -> None:
    mask = two_balls(shape, 20, 13, spacing)
    found = assemble(Watershed(), prediction({"foreground": mask[None].astype(np.float32)}, spacing))
    assert len(found) == 2
    assert found.sizes.sum() == mask.sum()
    assert abs(int(np.diff(found.sizes)[0])) <= 0.05 * mask.sum()


def test_a_deep_dip_is_asked_for_before_one_object_becomes_two() -> None:
    mask = two_balls((40, 60), 20, 13, (1.0, 1.0))
    heads = {"foreground": mask[None].astype(np.float32)}
    assert len(assemble(Watershed(depth=8), prediction(heads))) == 1


def test_a_bar_of_even_width_is_one_object() -> None:
    mask = np.zeros((20, 80), np.float32)
    mask[6:14, 4:76] = 1
    assert len(assemble(Watershed(), prediction({"foreground": mask[None]}))) == 1


def test_an_image_full_of_foreground_is_one_object() -> None:
    for shape in ((9, 11), (4, 6, 5)):
        heads = {"foreground": np.ones((1, *shape), np.float32)}
        assert assemble(Watershed(), prediction(heads)).sizes.tolist() == [np.prod(shape)]


def test_a_predicted_boundary_parts_what_the_shape_does_not() -> None:
    foreground, boundary = np.zeros((2, 1, 20, 80), np.float32)
    foreground[:, 6:14, 4:76] = 1
    boundary[:, 6:14, 39:41] = 1
    spec = Watershed()
    heads = {"foreground": foreground, "boundary": boundary}
    found = assemble(spec, prediction(heads))
    assert found.sizes.tolist() == [36 * 8, 36 * 8]
    assert len(assemble(spec.model_copy(update={"boundary": 1.0}), prediction(heads))) == 1


@settings(max_examples=40, deadline=None)
@given(image=labels(shapes(smallest=3, largest=14)), seed=SEEDS)
def test_mutex_watershed_recovers_objects_from_their_affinities(image: np.ndarray, seed: int) -> None:
    offsets = usual_offsets(image.ndim)
    affinities = np.zeros((len(offsets), *image.shape), np.float32)
    for k, offset in enumerate(offsets):
        moved = np.full(image.shape, -1)
        for x in np.ndindex(image.shape):
            y = tuple(a + o for a, o in zip(x, offset, strict=True))
            if min(y) >= 0:
                moved[x] = image[y]
        affinities[k] = np.where((image == moved) & (image > 0), 0.9, 0.1)
    noise = np.random.default_rng(seed).uniform(-0.05, 0.05, affinities.shape).astype(np.float32)
    heads = {"foreground": (image > 0)[None].astype(np.float32), "affinities": affinities + noise}
    # A face-connected part of an object is what nearest neighbours can join; far pairs only split.
    parts = np.zeros(image.shape, int)
    for label in np.unique(image[image > 0]):
        part = ndimage.label(image == label)[0]
        parts[part > 0] = part[part > 0] + parts.max()
    found = assemble(MutexWatershed(min_size=1), prediction(heads))
    assert found == Instances.from_labels(parts)


def test_far_pairs_split_and_merge_only_when_allowed() -> None:
    affinities = np.full((2, 1, 12), 0.9, np.float32)
    affinities[0, 0, 6] = 0.45
    heads = {"foreground": np.ones((1, 1, 12), np.float32), "affinities": affinities}
    spec = MutexWatershed(offsets=((0, -1), (0, -4)), min_size=1)
    assert assemble(spec, prediction(heads)).sizes.tolist() == [6, 6]
    assert len(assemble(spec.model_copy(update={"far_merges": True}), prediction(heads))) == 1


def test_without_a_foreground_head_the_nearest_affinities_are_the_foreground() -> None:
    heads = random_heads(3, (16, 20))
    mean = heads["affinities"][:2].mean(0, keepdims=True)
    spec = MutexWatershed(min_size=1)
    with_head = assemble(spec, prediction({"foreground": mean, "affinities": heads["affinities"]}))
    assert assemble(spec, prediction({"affinities": heads["affinities"]})) == with_head


def test_offsets_that_are_not_those_of_the_model_are_refused() -> None:
    own = usual_offsets(2)
    MutexWatershed().check({"affinities": Head("affinities", 8, "sigmoid", "affinity", offsets=own)}, 2)
    with pytest.raises(ValueError, match="offsets are not those"):
        MutexWatershed().check({"affinities": Head("affinities", 2, "sigmoid", "affinity", offsets=own[:2])}, 2)
    with pytest.raises(ValueError, match="mutex_watershed needs a head affinities"):
        MutexWatershed().check({"foreground": Head("foreground", 1)}, 2)
    with pytest.raises(ValueError, match="needs a head foreground"):
        Watershed().check({"seediness": Head("seediness", 1)}, 2)


@settings(max_examples=40, deadline=None)
@given(problem=problems())
def test_joined_foreground_is_the_foreground_of_the_whole(problem: tuple) -> None:
    heads, blocks, size = problem
    whole = prediction(heads, size)
    mask = heads["foreground"][0] > 0.5
    keep = MutexWatershed().keep
    joined = Voxels.join([keep(replace(whole.crop(block.core), core=block.core), Backend()) for block in blocks])
    expected = keep(whole, Backend())
    assert np.array_equal(expected.mask(), mask)
    for name in ("start", "length"):
        assert np.array_equal(getattr(joined, name), getattr(expected, name))
    for name, values in expected.values.items():
        assert np.array_equal(joined[name], values)


def test_voxels_that_are_not_finite_are_background() -> None:
    head = np.ones((1, 8, 8), np.float32)
    head[0, 2:5] = np.nan
    for spec in (Threshold(min_size=1), Watershed(min_size=1)):
        found = assemble(spec, prediction({"foreground": head}), grid([[0, 3, 8], [0, 8]]))
        assert found.sizes.tolist() == [16, 24]
