from __future__ import annotations

import numpy as np
import pytest
from skimage.measure import label, regionprops

from toolkit.steps.measure import measure
from toolkit.steps.shape import shape
from toolkit.values.image import Image
from toolkit.values.instances import Instances


def scene(size: tuple[int, int] = (120, 150), seed: int = 0) -> np.ndarray:
    """Ellipses at many angles, and odd pieces of noise."""
    rng = np.random.default_rng(seed)
    y, x = np.indices(size)
    mask = np.zeros(size, bool)
    for cy in range(20, size[0], 40):
        for cx in range(20, size[1], 40):
            turn, long, wide = rng.uniform(0, np.pi), rng.uniform(8, 16), rng.uniform(3, 8)
            u = (x - cx) * np.cos(turn) + (y - cy) * np.sin(turn)
            v = -(x - cx) * np.sin(turn) + (y - cy) * np.cos(turn)
            mask |= (u / long) ** 2 + (v / wide) ** 2 < 1
    mask[:6, :9] |= rng.random((6, 9)) < 0.7
    return np.asarray(label(mask, connectivity=1))


def of(voxels: np.ndarray, **about: object) -> Image:
    return Image.from_array(voxels, **about)  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", range(3))
def test_shapes_are_those_of_scikit_image(seed: int) -> None:
    labels = scene(seed=seed)
    found = shape(Instances.from_labels(labels), of(labels))
    wanted = regionprops(labels)
    order = np.argsort([np.flatnonzero(labels.ravel() == r.label)[0] for r in wanted])
    for name, theirs in {
        "equivalent_diameter_px": "equivalent_diameter_area",
        "major_axis_px": "axis_major_length",
        "minor_axis_px": "axis_minor_length",
        "perimeter_px": "perimeter",
    }.items():
        assert found[name] == pytest.approx([getattr(wanted[k], theirs) for k in order], rel=1e-6), name
    # Near 0 an eccentricity is the root of a small difference.
    theirs = np.array([wanted[k].eccentricity for k in order])
    assert found["eccentricity"] ** 2 == pytest.approx(theirs**2, abs=1e-6)
    # Theirs is measured from the y axis, counter-clockwise.
    angles = np.degrees([wanted[k].orientation for k in order])
    off = (found["orientation"] - (angles + 90) + 90) % 180 - 90
    long = theirs > 0.3
    assert np.abs(off[long]).max() < 1e-4
    assert found["solidity"] == pytest.approx([wanted[k].solidity for k in order], abs=0.08)


def test_convex_shapes_are_solid_and_others_are_as_solid_as_they_are() -> None:
    labels = np.zeros((20, 40), int)
    labels[2:8, 2:12] = 1
    labels[2:12, 20:30] = 2
    labels[2:7, 25:30] = 0
    found = shape(Instances.from_labels(labels), of(labels))
    assert found["solidity"] == pytest.approx([1, 75 / 87.5], abs=0.04)


def test_a_ball_has_the_surface_of_a_ball_and_voxel_sizes_count() -> None:
    z, y, x = np.indices((60, 60, 60)) - 29.5
    ball = (z**2 + y**2 + x**2 < 20**2).astype(int)
    found = shape(Instances.from_labels(ball), of(ball, voxel_size=(0.5, 0.5, 0.5), calibrated=True))
    assert found["equivalent_diameter_um"] == pytest.approx(20, rel=0.01)
    assert found["surface_um2"] == pytest.approx(4 * np.pi * 10**2, rel=0.1)
    assert found["surface_px2"] == pytest.approx(found["surface_um2"] * 4)
    assert 0.9 < found["sphericity"][0] <= 1
    assert found["solidity"] == pytest.approx(0.98, abs=0.03)
    flat = shape(Instances.from_labels(ball[::4]), of(ball[::4], voxel_size=(2.0, 0.5, 0.5), calibrated=True))
    assert flat["surface_um2"] == pytest.approx(found["surface_um2"], rel=0.1)
    unknown = shape(Instances.from_labels(ball), of(ball))
    assert np.isnan(unknown["surface_um2"]).all()


def test_a_single_pixel_and_no_object_are_measured_too() -> None:
    one = np.zeros((5, 5), int)
    one[2, 2] = 1
    found = shape(Instances.from_labels(one), of(one))
    assert found["solidity"] == pytest.approx([1])
    assert found["eccentricity"] == pytest.approx([0])
    none = shape(Instances.empty((5, 5)), of(one))
    assert {len(column) for column in none.values()} == {0}
    assert {len(c) for c in shape(Instances.empty((3, 5, 5)), of(np.zeros((3, 5, 5)))).values()} == {0}


def test_columns_are_added_on_request_only() -> None:
    labels = scene()
    voxels = np.random.default_rng(1).integers(0, 60000, (2, *labels.shape)).astype(np.uint16)
    image, instances = Image(voxels, "CYX"), Instances.from_labels(labels)
    usual = measure(instances, image)
    more = measure(instances, image, ("shape", "intensity"))
    assert {"perimeter_px", "sum_1", "deviation_0"} <= {*more} - {*usual}
    assert all(np.array_equal(more[name], usual[name], equal_nan=True) for name in usual)
    inside = voxels[1].ravel()[instances.voxels(3)].astype(float)
    assert more["sum_1"][3] == inside.sum()
    assert more["deviation_1"][3] == pytest.approx(inside.std())
