"""Stitching.

What is recoverable. Each block sees of every object exactly the part inside its outer box. An object comes back whole
if (1) halos are at least one voxel wide, so that the parts of an object in neighbouring blocks share voxels wherever
it crosses the border between their cores; (2) objects are connected over faces; (3) where two outer boxes meet, no two
objects look alike: two objects that fill the same voxels of that region cannot be told apart there by anybody.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.steps.stitch import stitch
from toolkit.values.fragment import Fragment
from toolkit.values.instances import Instances
from toolkit.values.tiles import Box, Lattice, blocks


def disks(rng: np.random.Generator, shape: tuple[int, ...], most: int = 8) -> np.ndarray:
    """Up to `most` balls of many sizes that may overlap, one plane each; connected over faces."""
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
    planes = []
    for _ in range(rng.integers(0, most + 1)):
        centre, radius = rng.uniform(0, 1, len(shape)) * np.array(shape), rng.uniform(1.5, max(shape) / 3)
        planes.append(((grid - centre) ** 2).sum(-1) < radius**2)
    return np.array(planes, bool).reshape(-1, *shape)


def cut(planes: np.ndarray, size: int, halo: tuple[int, ...]) -> list[Fragment]:
    """What blocks of about `size` voxels see, in raster order."""
    shape = planes.shape[1:]
    lattice = Lattice(shape, (4,) * len(shape), (0,) * len(shape))
    fragments = []
    for block in blocks(lattice, size):
        outer = block.core.grow(halo, within=shape)
        fragments.append(
            Fragment(Instances.from_planes(planes[(slice(None), *outer.slices)]), outer, block.core, shape)
        )
    return fragments


def told_apart(planes: np.ndarray, fragments: list[Fragment]) -> bool:
    """Assumption (3), and no object twice."""
    for a, b in combinations(fragments, 2):
        common = a.outer & b.outer
        if common.size:
            parts = [p.tobytes() for p in planes[(slice(None), *common.slices)] if p.any()]
            if len(set(parts)) < len(parts):
                return False
    return len({p.tobytes() for p in planes}) == len(planes)


@pytest.mark.parametrize(("first", "count"), [(0, 300), pytest.param(300, 1200, marks=pytest.mark.slow)])
def test_each_object_of_random_scenes_is_recovered_once(first: int, count: int) -> None:
    recoverable = 0
    for seed in range(first, first + count):
        rng = np.random.default_rng(seed)
        shape = ((24, 28), (40, 9), (8, 12, 13))[seed % 3]
        planes = disks(rng, shape)
        fragments = cut(planes, int(rng.integers(4, 20)), tuple(int(h) for h in rng.integers(1, 7, len(shape))))
        if not told_apart(planes, fragments):
            continue
        recoverable += 1
        shuffled = [fragments[k] for k in rng.permutation(len(fragments))]
        assert stitch(shuffled) == Instances.from_planes(planes), f"scene {seed}"
    assert recoverable > count / 3


@pytest.mark.slow
@given(st.integers(0, 2**32 - 1), st.randoms(use_true_random=False))
def test_the_order_of_the_blocks_changes_nothing_whatever_they_saw(seed: int, random) -> None:
    fragments = quarrel(np.random.default_rng(seed))
    shuffled = list(fragments)
    random.shuffle(shuffled)
    one, two = stitch(fragments), stitch(shuffled)
    assert one == two
    assert one.scores.tolist() == two.scores.tolist()


def quarrel(rng: np.random.Generator) -> list[Fragment]:
    """Blocks that see different things in the same place; on a coarse grid, so that many pairs match equally well."""
    shape, step = (16, 16), 4
    fragments = []
    for block in blocks(Lattice(shape, (4, 4), (0, 0)), int(rng.integers(4, 9))):
        outer = block.core.grow((step, step), within=shape)
        seen = np.zeros((rng.integers(0, 5), *outer.shape), bool)
        for plane in seen:
            low = [step * rng.integers(0, n // step) for n in outer.shape]
            high = [a + step * rng.integers(1, 4) for a in low]
            plane[tuple(map(slice, low, high))] = True
        fragments.append(Fragment(Instances.from_planes(seen, rng.uniform(0, 1, len(seen))), outer, block.core, shape))
    return fragments


@pytest.mark.slow
@given(st.integers(0, 2**32 - 1))
def test_every_voxel_of_an_object_was_seen_by_the_block_that_answers_for_it(seed: int) -> None:
    fragments = quarrel(np.random.default_rng(seed))
    result = stitch(fragments)
    for fragment in fragments:
        own = as_planes(result.crop(fragment.core))
        inner = fragment.core.relative_to(fragment.outer)
        seen = as_planes(fragment.instances.crop(inner))
        # Each member shows its whole part in its block's core, and no object shows two members of one block.
        assert sorted(p.tobytes() for p in own) == sorted(p.tobytes() for p in seen)


def as_planes(instances: Instances) -> list[np.ndarray]:
    planes = np.zeros((len(instances), *instances.shape), bool)
    for k, plane in enumerate(planes):
        plane.reshape(-1)[instances.voxels(k)] = True
    return list(planes)


def test_two_overlapping_objects_are_never_joined() -> None:
    planes = np.zeros((2, 12, 24), bool)
    planes[0, 2:9, 2:20] = True
    planes[1, 4:11, 4:22] = True  # IoU above .5 with the first, in every block
    for size in (4, 6, 8, 12):
        assert stitch(cut(planes, size, (2, 2))) == Instances.from_planes(planes)


def test_two_objects_of_one_block_stay_two_even_if_the_neighbour_sees_one() -> None:
    shape = (4, 16)
    left, right = Box((0, 0), (4, 10)), Box((0, 6), (4, 16))
    two = np.zeros((2, 4, 10), bool)
    two[0, :2], two[1, 2:] = True, True
    one = np.zeros((1, 4, 10), bool)
    one[0] = True
    found = stitch(
        [
            Fragment(Instances.from_planes(two), left, Box((0, 0), (4, 8)), shape),
            Fragment(Instances.from_planes(one), right, Box((0, 8), (4, 16)), shape),
        ]
    )
    # IoU is ½ for both: one of them is joined, by id, the other ends at the border.
    assert found.sizes.tolist() == [2 * 8 + 4 * 8, 2 * 8]


def test_an_object_larger_than_the_halo_is_joined_across_many_blocks() -> None:
    planes = np.zeros((1, 8, 200), bool)
    planes[0, 3:5, 1:199] = True
    fragments = cut(planes, 4, (1, 1))
    assert len(fragments) == 100
    assert stitch(fragments) == Instances.from_planes(planes)


def test_a_ring_that_leaves_and_enters_a_block_is_one_object() -> None:
    planes = np.zeros((1, 20, 20), bool)
    planes[0, 2:18, 2:18] = True
    planes[0, 5:15, 5:15] = False
    for size in (4, 8, 12):
        assert stitch(cut(planes, size, (2, 2))) == Instances.from_planes(planes)


def test_half_is_enough_to_join_and_less_is_not() -> None:
    shape = (1, 12)
    left, right = Box((0, 0), (1, 9)), Box((0, 4), (1, 12))
    for width, sizes in ((4, [1 + 4]), (3, [1 + 3]), (2, [1, 2]), (1, [1, 1])):
        seen = np.zeros((2, 1, 12), bool)
        seen[0, 0, 4:9] = True
        seen[1, 0, 5 : 5 + width] = True
        found = stitch(
            [
                Fragment(Instances.from_planes(seen[:1][..., :9]), left, Box((0, 0), (1, 5)), shape),
                Fragment(Instances.from_planes(seen[1:][..., 4:]), right, Box((0, 5), (1, 12)), shape),
            ]
        )
        assert found.sizes.tolist() == sizes


def onlookers(*seen: list[tuple[int, int]]) -> Instances:
    """Three blocks that all see the whole row of 90 voxels, and answer for a third each; spans of what each saw."""
    shape = (1, 90)
    fragments = []
    for k, spans in enumerate(seen):
        planes = np.zeros((len(spans), *shape), bool)
        for plane, span in zip(planes, spans, strict=True):
            plane[0, slice(*span)] = True
        fragments.append(
            Fragment(Instances.from_planes(planes), Box.whole(shape), Box((0, 30 * k), (1, 30 * k + 30)), shape)
        )
    return stitch(fragments)


def test_the_best_matches_join_first() -> None:
    # b–c .7 and c–a₂ .6 come before a₁–b .57, which would put two objects of the first block into one.
    found = onlookers([(0, 36), (36, 90)], [(0, 63)], [(0, 90)])
    assert found.sizes.tolist() == [30, 60]


def test_an_instance_has_one_partner_in_a_block_even_if_they_may_not_join() -> None:
    # a₁–c and c–b₂ are joined first (.95), so that a₁–b₁ (.93) may not be; b₁ does not turn to a₂ (.65) then.
    found = onlookers([(0, 90), (0, 55)], [(0, 84), (9, 90)], [(4, 90)])
    assert len(found) == 3


def test_what_lies_only_in_halos_is_dropped() -> None:
    shape = (4, 16)
    ghost = np.zeros((1, 4, 10), bool)
    ghost[0, :, 9:] = True
    found = stitch(
        [
            Fragment(Instances.from_planes(ghost), Box((0, 0), (4, 10)), Box((0, 0), (4, 8)), shape),
            Fragment(Instances.empty((4, 10)), Box((0, 6), (4, 16)), Box((0, 8), (4, 16)), shape),
        ]
    )
    assert len(found) == 0


def test_a_score_is_the_mean_of_the_members_by_their_voxels_in_the_core() -> None:
    shape = (2, 16)
    whole = np.zeros((1, 2, 16), bool)
    whole[0, :, 2:12] = True
    a, b = Box((0, 0), (2, 10)), Box((0, 6), (2, 16))
    found = stitch(
        [
            Fragment(Instances.from_planes(whole[(slice(None), *a.slices)], [1.0]), a, Box((0, 0), (2, 8)), shape),
            Fragment(Instances.from_planes(whole[(slice(None), *b.slices)], [0.5]), b, Box((0, 8), (2, 16)), shape),
        ]
    )
    assert found.scores.tolist() == [pytest.approx((12 * 1.0 + 8 * 0.5) / 20)]


def test_one_block_is_stitched_to_itself_and_blocks_without_objects_to_nothing() -> None:
    planes = disks(np.random.default_rng(3), (12, 14))
    (only,) = cut(planes, 99, (0, 0))
    assert stitch([only]) == Instances.from_planes(planes)
    assert len(stitch(cut(np.zeros((0, 12, 14), bool), 4, (1, 1)))) == 0
