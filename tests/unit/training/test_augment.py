from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.errors import UsageError
from toolkit.testing.scenes import Scene, blobs, worms
from toolkit.training.augment import KNOWN, Sample, chosen, flip, intensity, noise, rotate
from toolkit.values.tiles import Box
from toolkit.values.truth import Truth


def sample(scene: Scene, crop: Box | None = None) -> Sample:
    """A crop of a scene as the loader makes it."""
    box = crop or Box.whole(scene.shape)
    return Sample(scene.image.read_reflected(box).astype(np.float32) / 255, scene.truth.crop(box))


scenes = st.builds(
    lambda draw, shape, seed: sample(draw(shape, seed=seed), Box((2,) * len(shape), shape)),
    st.sampled_from((blobs, worms)),
    st.sampled_from(((26, 26), (24, 30), (8, 24, 24), (10, 10, 10))),
    st.integers(0, 50),
)
seeds = st.integers(0, 2**32 - 1)


def looks(one: Sample) -> list[tuple[np.ndarray, np.ndarray, float]]:
    """What no flip or rotation changes of an object: distances of its voxels from its centre, and their values."""
    found = []
    for name, centre in zip(one.truth.ids, one.truth.centres, strict=True):
        where = np.argwhere((one.truth.layers == name).any(0))
        values, distance = one.voxels[0][tuple(where.T)], ((where - centre) ** 2).sum(1)
        found.append((np.sort(distance), np.sort(values), float(distance @ values)))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("augment", [flip, rotate])
@given(one=scenes, seed=seeds)
def test_voxels_objects_and_centres_of_whole_objects_move_together(augment, one: Sample, seed: int) -> None:
    moved = augment(one, np.random.default_rng(seed))
    assert moved.voxels.shape == one.voxels.shape
    assert np.array_equal(np.sort(moved.voxels, axis=None), np.sort(one.voxels, axis=None))
    # Distances of an object's voxels from the centre of the whole object stay, also where the crop cuts the object.
    for was, now in zip(looks(one), looks(moved), strict=True):
        assert all(np.allclose(a, b) for a, b in zip(was, now, strict=True))
    assert moved.truth.known.sum() == one.truth.known.sum()


@given(one=scenes, seed=seeds)
def test_the_voxels_of_a_truth_are_those_of_the_image(one: Sample, seed: int) -> None:
    # The labels themselves as image: whatever moves one must move the other.
    marked = Sample(one.truth.layers.astype(np.float32), one.truth)
    for augment in (flip, rotate):
        moved = augment(marked, np.random.default_rng(seed))
        assert np.array_equal(moved.voxels, moved.truth.layers)


@given(one=scenes, seed=seeds)
def test_a_void_moves_with_the_objects(one: Sample, seed: int) -> None:
    void = one.voxels[0] > np.median(one.voxels)
    marked = Sample(np.stack([void]).astype(np.float32), Truth.from_layers(one.truth.layers, void))
    for augment in (flip, rotate):
        moved = augment(marked, np.random.default_rng(seed))
        assert moved.truth.void is not None
        assert np.array_equal(moved.voxels[0], moved.truth.void)


@given(seeds)
def test_axes_of_different_extent_or_voxel_size_keep_their_place(seed: int) -> None:
    layers = np.zeros((1, 4, 6, 6), np.int32)
    layers[0, :, 0, 1] = 1
    for size, turns in (((2.0, 1.0, 1.0), 2), ((2.0, 1.0, 0.5), 1)):
        one = Sample(layers.astype(np.float32), Truth.from_layers(layers, voxel_size=size))
        moved = rotate(one, np.random.default_rng(seed))
        assert moved.truth.shape == (4, 6, 6)
        assert moved.truth.centres[0].tolist() in [[1.5, 0, 1], [1.5, 1, 0]][:turns]


@pytest.mark.parametrize("shape", [(6, 6), (6, 6, 6)])
def test_flips_and_rotations_reach_every_turn_of_a_cube(shape: tuple[int, ...]) -> None:
    layers = np.zeros((1, *shape), np.int32)
    layers[(0, *range(len(shape)))] = 1  # a voxel on no symmetry
    one = Sample(layers.astype(np.float32), Truth.from_layers(layers))
    reached = set()
    for seed in range(600):
        rng = np.random.default_rng(seed)
        reached.add(tuple(rotate(flip(one, rng), rng).truth.centres[0].tolist()))
    assert len(reached) == {2: 8, 3: 48}[len(shape)]


@given(one=scenes, seed=seeds, name=st.sampled_from(sorted(KNOWN)))
def test_an_augmentation_is_a_pure_function_of_sample_and_generator(one: Sample, seed: int, name: str) -> None:
    before = one.voxels.copy(), one.truth.layers.copy(), one.truth.centres.copy()
    first, second = (KNOWN[name](one, np.random.default_rng(seed)) for _ in range(2))
    assert np.array_equal(first.voxels, second.voxels)
    assert np.array_equal(first.truth.layers, second.truth.layers)
    assert all(
        np.array_equal(a, b) for a, b in zip(before, (one.voxels, one.truth.layers, one.truth.centres), strict=True)
    )
    assert first.voxels.dtype == np.float32
    assert np.isfinite(first.voxels).all()


@pytest.mark.parametrize("augment", [intensity, noise])
@given(one=scenes, seed=seeds)
def test_another_exposure_leaves_the_objects_where_they_are(augment, one: Sample, seed: int) -> None:
    assert augment(one, np.random.default_rng(seed)).truth is one.truth


def test_values_below_the_background_are_no_trouble() -> None:
    truth = Truth.from_layers(np.zeros((1, 3, 3)))
    dark = Sample(np.full((2, 3, 3), -0.3, np.float32), truth)
    assert all(np.isfinite(intensity(dark, np.random.default_rng(s)).voxels).all() for s in range(20))


def test_unknown_names_get_the_nearest_one() -> None:
    assert chosen(("flip", "scale", "noise")) == [flip, noise]
    with pytest.raises(UsageError, match=r"training.augment: rotat; did you mean 'rotate'\?"):
        chosen(("flip", "rotat"))
