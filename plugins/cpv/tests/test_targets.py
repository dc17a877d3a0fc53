"""The targets against the published program's, and against their definitions."""

import numpy as np
import pytest
from cpv_scenes import labels
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from toolkit_cpv.affinities import AffinitiesLoss
from toolkit_cpv.cpv import CpvLoss
from toolkit_cpv.gauss import GaussLoss
from toolkit_cpv.sdt import SdtLoss
from toolkit_cpv.three_label import ThreeLabelLoss

from tests.golden import published
from toolkit.api import Box, Truth

SCENES = (st.integers(0, 10**6), st.sampled_from([(24, 31), (10, 17, 15)]))


def truth(seed: int, shape: tuple[int, ...], void: bool = False, sparse: bool = False) -> Truth:
    image = labels(seed, shape)
    rng = np.random.default_rng(seed)
    if sparse:
        image[(image == 0) & (labels(seed + 1, shape) > 0)] = -1
    return Truth.from_layers(
        image[None], labels(seed + 2, shape, 2) > 0 if void else None, tuple(rng.uniform(0.5, 2, len(shape)))
    )


def test_three_labels_equal_those_of_the_published_program() -> None:
    data = published("cpv_targets")
    target = ThreeLabelLoss().targets(Truth.from_layers(data["labels"][None]))["classes"][0]
    np.testing.assert_array_equal(target, data["threeclass"])


def test_signed_distances_equal_those_of_the_published_program() -> None:
    data = published("cpv_targets")
    low, high = SdtLoss().targets(Truth.from_layers(data["labels"][None]))["sdt"]
    inside = data["labels"] > 0
    # The published program treats its volume as if nothing were beyond; so does the far end of the interval.
    np.testing.assert_allclose(np.where(inside, low, high), data["sdt_tanh"], atol=1e-5)
    np.testing.assert_allclose(high[inside], data["sdt_tanh"][inside], atol=1e-5)
    assert (low <= high).all()


def test_affinities_without_erosion_equal_those_of_the_published_program() -> None:
    data = published("cpv_targets")
    targets = AffinitiesLoss(erosions=0).targets(Truth.from_layers(data["labels"][None]))
    np.testing.assert_array_equal(targets["affinities"], data["affs"])
    np.testing.assert_array_equal(targets["foreground"][0], data["fgbg"])


def test_blobs_equal_those_of_the_published_program() -> None:
    data = published("cpv_targets")
    points = np.zeros(data["gt_centers"].shape, np.int32)
    points[data["gt_centers"] > 0] = np.arange(1, 6)
    targets = GaussLoss(overlap="sum").targets(Truth.from_layers(points[None]))
    np.testing.assert_allclose(targets["gauss"][0], data["gaussian"], atol=1e-5)
    assert targets["known"].all()


def test_vectors_equal_those_of_the_published_program() -> None:
    data = published("cpv_targets")
    targets = CpvLoss().targets(Truth.from_layers(data["labels"][None]))
    np.testing.assert_allclose(targets["cpv"], data["cpv"], atol=1e-5)
    np.testing.assert_array_equal(targets["inside"][0], data["labels"] > 0)


def test_vectors_of_a_crop_point_at_the_centres_of_whole_objects() -> None:
    data = published("cpv_targets")
    start = (0, *data["crop_offset"].tolist()) if len(data["crop_offset"]) == 2 else tuple(data["crop_offset"].tolist())
    shape = data["cpv_crop"].shape[1:]
    box = Box(start, tuple(a + n for a, n in zip(start, shape, strict=True)))
    targets = CpvLoss().targets(Truth.from_layers(data["labels"][None]).crop(box))
    np.testing.assert_allclose(targets["cpv"], data["cpv_crop"], atol=1e-5)


@settings(max_examples=20, deadline=None)
@given(*SCENES)
def test_the_boundary_is_an_object_minus_its_erosion(seed: int, shape: tuple[int, ...]) -> None:
    scene = truth(seed, shape)
    (image,) = scene.layers
    expected = np.zeros(shape, np.int8)
    for label in scene.ids:
        mask = image == label
        eroded = ndimage.binary_erosion(mask, np.ones((3,) * len(shape)), border_value=1)
        cut = eroded & ~ndimage.binary_erosion(mask, np.ones((3,) * len(shape)), border_value=0)
        expected[mask] = 2
        expected[eroded] = 1
        expected[cut] = -1
    np.testing.assert_array_equal(ThreeLabelLoss().targets(scene)["classes"][0], expected)


@settings(max_examples=20, deadline=None)
@given(*SCENES)
def test_signed_distances_are_those_of_the_definition(seed: int, shape: tuple[int, ...]) -> None:
    scene = truth(seed, shape)
    classes = ThreeLabelLoss().targets(scene)["classes"][0]
    spacing = np.array(scene.voxel_size) / min(scene.voxel_size)
    low, high = SdtLoss(scale=5).targets(scene)["sdt"]
    inside = scene.layers[0] > 0
    if (classes == 2).any():
        seen = np.tanh(ndimage.distance_transform_edt(classes != 2, sampling=spacing) / 5)
        np.testing.assert_allclose(np.where(inside, low, high), np.where(inside, -seen, seen), atol=1e-5)
    doubtful = classes == -1
    assert (high[doubtful] == 0).all()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([(36, 40), (14, 22, 20)]), st.booleans(), st.booleans())
def test_a_crop_says_of_its_voxels_nothing_that_the_image_denies(
    seed: int, shape: tuple[int, ...], void: bool, sparse: bool
) -> None:
    scene = truth(seed, shape, void, sparse)
    rng = np.random.default_rng(seed)
    start = tuple(int(v) for v in rng.integers(0, np.array(shape) // 2))
    box = Box(start, tuple(int(a + max(4, n // 2 - 1)) for a, n in zip(start, shape, strict=True)))
    crop = scene.crop(box)
    for loss in (ThreeLabelLoss(), AffinitiesLoss(), AffinitiesLoss(erosions=2)):
        everything, part = loss.targets(scene), loss.targets(crop)
        for name in part:
            here = everything[name][(slice(None), *box.slices)]
            decided = (part[name] != -1) & (here != -1)
            np.testing.assert_array_equal(part[name][decided], here[decided])
            # Background at the edge of a crop has affinity 0, even if the voxel beyond is void.
            assert (part[name][here == -1] <= 0).all(), "a crop knows no more than the image"
    low, high = SdtLoss().targets(crop)["sdt"][:, crop.known]
    whole_low, whole_high = SdtLoss().targets(scene)["sdt"][(slice(None), *box.slices)][:, crop.known]
    assert (low <= whole_low + 1e-6).all()
    assert (high >= whole_high - 1e-6).all()
    vectors = CpvLoss().targets(crop)
    everything = CpvLoss().targets(scene)
    np.testing.assert_array_equal(vectors["inside"], everything["inside"][(slice(None), *box.slices)])
    np.testing.assert_allclose(vectors["cpv"], everything["cpv"][(slice(None), *box.slices)], atol=1e-5)
    blobs = GaussLoss().targets(crop)["gauss"]
    np.testing.assert_allclose(blobs, GaussLoss().targets(scene)["gauss"][(slice(None), *box.slices)], atol=1e-6)


@settings(max_examples=20, deadline=None)
@given(*SCENES, st.integers(0, 2))
def test_affinities_are_one_within_eroded_objects_and_zero_elsewhere(
    seed: int, shape: tuple[int, ...], erosions: int
) -> None:
    scene = truth(seed, shape)
    (image,) = scene.layers
    eroded = np.zeros_like(image)
    cut = np.zeros(shape, bool)
    for label in scene.ids:
        loose = strict = image == label
        for _ in range(erosions):
            loose = ndimage.binary_erosion(loose, border_value=1)
            strict = ndimage.binary_erosion(strict, border_value=0)
        eroded[loose] = label
        cut |= loose & ~strict
    targets = AffinitiesLoss(erosions=erosions).targets(scene)
    np.testing.assert_array_equal(targets["foreground"][0], np.where(cut, -1, eroded > 0))
    for axis, found in enumerate(targets["affinities"]):
        before, here = np.moveaxis(eroded, axis, 0)[:-1], np.moveaxis(eroded, axis, 0)[1:]
        doubt = np.moveaxis(cut, axis, 0)
        expected = np.where((before == here) & (here > 0), 1, 0)
        expected[(expected == 1) & (doubt[:-1] | doubt[1:])] = -1
        np.testing.assert_array_equal(np.moveaxis(found, axis, 0)[1:], expected)


def test_what_is_void_or_unannotated_is_unknown_to_every_target() -> None:
    image = np.zeros((9, 12), np.int32)
    image[2:7, 1:6] = 1
    image[:, 9:] = -1
    void = np.zeros(image.shape, bool)
    void[4, 4] = True
    scene = Truth.from_layers(image[None], void)
    unknown = void | (image == -1)
    classes = ThreeLabelLoss().targets(scene)["classes"][0]
    assert (classes[unknown] == -1).all()
    assert classes[3, 3] == -1, "whether it is boundary depends on a void voxel"
    assert not SdtLoss().targets(scene)["known"][0][unknown].any()
    assert not GaussLoss().targets(scene)["known"][0][unknown].any()
    assert (CpvLoss().targets(scene)["inside"][0][unknown] == -1).all()
    targets = AffinitiesLoss(erosions=0).targets(scene)
    assert targets["affinities"][1][4, 5] == -1, "an end is void"
    assert targets["affinities"][1][5, 10] == -1, "both ends are unannotated"
    assert targets["affinities"][1][5, 9] == 0, "background has no affinity to anything"


def test_an_annotated_object_beside_unannotated_voxels_has_no_affinity_to_them() -> None:
    image = np.full((3, 6), -1, np.int32)
    image[:, :3] = 7
    targets = AffinitiesLoss(erosions=0).targets(Truth.from_layers(image[None]))
    assert (targets["affinities"][1][:, 3] == 0).all()
    assert (targets["affinities"][1][:, 1:3] == 1).all()
    assert (targets["affinities"][1][:, 4:] == -1).all()


def test_where_objects_overlap_the_boundary_of_any_is_boundary_and_vectors_are_unknown() -> None:
    planes = np.zeros((2, 9, 14), bool)
    planes[0, 1:8, 1:9] = True
    planes[1, 1:8, 5:13] = True
    scene = Truth.from_planes(planes)
    classes = ThreeLabelLoss().targets(scene)["classes"][0]
    assert (classes[1:8, 5] == 2).all()
    assert classes[4, 6] == 1
    vectors = CpvLoss().targets(scene)
    assert (vectors["inside"][0][1:8, 5:9] == -1).all()
    affinities = AffinitiesLoss(erosions=0).targets(scene)["affinities"][1]
    assert affinities[4, 5] == 1, "both ends lie in the first object"
    assert affinities[4, 9] == 1, "both ends lie in the second object"


def test_vectors_in_micrometres_are_voxels_times_their_size() -> None:
    scene = truth(3, (12, 14, 13))
    size = np.array(scene.voxel_size).reshape(3, 1, 1, 1)
    expected = CpvLoss().targets(scene)["cpv"] * size
    np.testing.assert_allclose(CpvLoss(unit="micrometre").targets(scene)["cpv"], expected, rtol=1e-5)


def test_blobs_and_distances_are_round_in_micrometres() -> None:
    points = np.zeros((11, 21, 21), np.int32)
    points[5, 10, 10] = 1
    blob = GaussLoss().targets(Truth.from_layers(points[None], voxel_size=(2.0, 1.0, 1.0)))["gauss"][0]
    assert blob[7, 10, 10] == pytest.approx(blob[5, 14, 10])
    assert blob[5, 10, 14] == pytest.approx(np.exp(-0.5 * (4 / 2) ** 2))


@pytest.mark.parametrize("size", [(1.0, 1.0), (2.0, 0.5)])
def test_points_teach_the_vectors_of_the_voxels_around_them(size: tuple[float, ...]) -> None:
    points = np.zeros((20, 40), np.int32)
    points[8, 10], points[9, 14] = 1, 2
    targets = CpvLoss(radius_um=3.0).targets(Truth.from_layers(points[None], voxel_size=size))
    grid = np.stack(np.meshgrid(np.arange(20), np.arange(40), indexing="ij"))
    gaps = np.array([[8, 10], [9, 14]])[:, :, None, None] - grid
    square = ((gaps * np.array(size)[:, None, None]) ** 2).sum(1)
    inside = square.min(0) <= 9
    np.testing.assert_array_equal(targets["inside"][0], np.where(inside, 1, -1))
    nearest = np.take_along_axis(gaps, square.argmin(0)[None, None], 0)[0]
    np.testing.assert_allclose(targets["cpv"], np.where(inside, nearest, 0))


@pytest.mark.parametrize(
    "loss", [ThreeLabelLoss(), SdtLoss(), AffinitiesLoss(), GaussLoss(), CpvLoss(), CpvLoss(radius_um=2.0)]
)
@pytest.mark.parametrize("shape", [(8, 12), (4, 8, 8)])
def test_an_image_without_objects_has_targets(loss, shape: tuple[int, ...]) -> None:
    scene = Truth.from_layers(np.zeros((1, *shape), np.int32))
    for name, target in loss.targets(scene).items():
        assert target.shape[1:] == shape, name


@pytest.mark.parametrize("shape", [(10, 12), (8, 10, 12)])
def test_an_object_that_the_border_of_the_image_cuts_ends_there(shape: tuple[int, ...]) -> None:
    image = np.zeros(shape, np.int32)
    image[..., 2:8, :4] = 1
    scene = Truth.from_layers(image[None])
    inside = image > 0
    vectors = CpvLoss().targets(scene)["cpv"]
    place = np.argwhere(inside)
    np.testing.assert_allclose(vectors[:, inside].T, place.mean(0) - place, atol=1e-5)
    assert GaussLoss().targets(scene)["gauss"].shape == (1, *shape)
    for loss in (ThreeLabelLoss(), SdtLoss(), AffinitiesLoss()):
        for name, target in loss.targets(scene).items():
            assert np.isfinite(target).all(), name
    classes = ThreeLabelLoss().targets(scene)["classes"][0]
    assert set(np.unique(classes[inside])) <= {-1, 1, 2}
    assert (classes[~inside] == 0).all()
