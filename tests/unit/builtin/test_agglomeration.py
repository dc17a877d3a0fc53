"""Fragments are those of the published program, and waterz merges those between which affinities are high."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from scipy.spatial import cKDTree

from tests.golden import published
from toolkit.builtin.metrics.partitions import ARAND, VOI
from toolkit.builtin.postprocessors.agglomeration import Agglomeration, merged
from toolkit.builtin.postprocessors.fragments import fragments
from toolkit.errors import UsageError
from toolkit.testing.blockwise import assemble, prediction
from toolkit.values.instances import Instances
from toolkit.values.prediction import Head
from toolkit.values.truth import Truth


@pytest.fixture(scope="module")
def known() -> dict[str, np.ndarray]:
    return published("cac_fragments_voi_arand")


def partition(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two label images divide their voxels alike."""
    pairs = np.unique(np.stack([a.reshape(-1), b.reshape(-1)]).astype(np.int64), axis=1).shape[1]
    return pairs == len(np.unique(a)) == len(np.unique(b))


def test_fragments_of_slices_are_those_of_the_published_program(known: dict[str, np.ndarray]) -> None:
    boundary = 1 - (known["affs"][1] + known["affs"][2]) / 2
    everything = np.ones(boundary.shape, bool)
    found = fragments(boundary, boundary < 0.5, everything, (1.0, 1.0, 1.0), slices=True)
    assert partition(found, known["fragments"])


def test_voi_and_arand_of_fragments_are_those_of_the_published_evaluation(known: dict[str, np.ndarray]) -> None:
    truth = Truth.from_layers(known["gt"][None])
    found = Instances.from_labels(known["fragments"].astype(np.int64))
    voi = VOI().summarise([VOI().count(truth, found)])
    split, merge = (float(v) for v in known["voi"])
    assert (voi["VOI split"], voi["VOI merge"]) == pytest.approx((split, merge), abs=1e-6)
    arand = ARAND().summarise([ARAND().count(truth, found)])["ARAND"]
    assert arand == pytest.approx(float(known["arand"]), abs=1e-6)


@pytest.mark.parametrize("shape", [(30, 40), (10, 24, 28)])
def test_fragments_of_objects_become_the_objects(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    grid = np.stack(np.indices(shape), -1).reshape(-1, len(shape))
    objects, pieces = (
        cKDTree(rng.uniform(0, shape, (count, len(shape)))).query(grid)[1].reshape(shape) for count in (5, 25)
    )
    label = 1 + objects * 25 + pieces
    noise = rng.uniform(-0.15, 0.15, (len(shape), *shape))
    same = np.stack([np.roll(objects, 1, axis) == objects for axis in range(len(shape))])
    found = merged(np.clip(np.where(same, 0.7, 0.3) + noise, 0, 1).astype(np.float32), label, 0.5)
    assert partition(found, objects)


def bars() -> tuple[np.ndarray, np.ndarray]:
    """Three fragments side by side; affinity .9 between the first two and .2 between the others."""
    label = np.repeat([[1, 1, 2, 2, 3, 3]], 4, 0)
    affinity = np.ones((2, 4, 6), np.float32)
    affinity[1, :, 2], affinity[1, :, 4] = 0.9, 0.2
    return affinity, label


@pytest.mark.parametrize(("threshold", "groups"), [(0.05, 3), (0.5, 2), (0.9, 1)])
def test_fragments_merge_where_the_quantile_is_surer_than_the_threshold(threshold: float, groups: int) -> None:
    affinity, label = bars()
    found = merged(affinity, label, threshold)
    assert len(np.unique(found)) == groups
    assert found[0, 0] == found[0, 1]


def test_the_quantile_decides_and_not_the_mean() -> None:
    affinity, label = bars()
    affinity[1, 0, 2] = 0.0
    assert len(np.unique(merged(affinity, label, 0.3, 50))) == 2
    assert len(np.unique(merged(affinity, label, 0.3, 10))) == 3


def test_background_has_no_part_in_it() -> None:
    affinity, label = bars()
    label[:2] = 0
    found = merged(affinity, label, 0.9)
    assert np.array_equal(found > 0, label > 0)
    assert len(np.unique(found)) == 2


def test_small_fragments_go_to_those_around_them() -> None:
    boundary = np.zeros((12, 21), np.int32)
    inside = np.ones((12, 21), bool)
    inside[:, 10] = inside[4, 10:] = inside[7, 10:] = False
    boundary[~inside] = 9
    everything = np.ones((12, 21), bool)
    assert len(np.unique(fragments(boundary, inside, everything, (1.0, 1.0)))) == 4
    found = fragments(boundary, inside, everything, (1.0, 1.0), dust=43)
    assert len(np.unique(found)) == 3
    assert (found > 0).all()


@pytest.mark.parametrize("sign", [-1, 1])
def test_affinities_may_be_those_of_the_previous_or_of_the_next_voxel(sign: int) -> None:
    affinity, label = bars()
    if sign > 0:
        affinity = np.stack([np.roll(affinity[axis], -1, axis) for axis in range(2)])
    spec = Agglomeration(offsets=((sign, 0), (0, sign)), min_size=1, inside=0.95, foreground=0.0)
    found = assemble(
        spec, prediction({"affinities": affinity, "foreground": np.ones((1, 4, 6), np.float32)}, (1.0, 1.0))
    )
    assert partition(found.to_labels(), np.minimum(label, 3) > 2)


def test_heads_without_face_neighbours_are_refused() -> None:
    offsets = ((-1, 0), (0, -3))
    with pytest.raises(ValueError, match="face neighbours along each axis"):
        Agglomeration(offsets=offsets).check({"affinities": Head("affinities", 2, offsets=offsets)}, 2)
    with pytest.raises(ValueError, match="not those of the model"):
        Agglomeration().check({"affinities": Head("affinities", 2, offsets=offsets)}, 2)


def test_what_waterz_says_does_not_reach_the_standard_output(capfd: pytest.CaptureFixture[str]) -> None:
    affinity, label = bars()
    sys.stdout.write("before\n")
    merged(affinity, label, 0.5)
    sys.stdout.write("after\n")
    assert capfd.readouterr().out == "before\nafter\n"


def test_without_waterz_it_is_said_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "waterz", None)
    affinity, label = bars()
    with pytest.raises(UsageError, match=r"seg-toolkit\[waterz\]"):
        merged(affinity, label, 0.5)
