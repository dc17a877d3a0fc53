"""The watershed against the published program's results, against its definition, and whole against blocks."""

import heapq

import numpy as np
import pytest
from cpv_scenes import heads, whole
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from toolkit_cpv.flood import flood
from toolkit_cpv.graph import neighbours
from toolkit_cpv.vote import counted
from toolkit_cpv.watershed import AffinitiesWatershed, SdtWatershed, SeededWatershed, ThreeLabelWatershed

from tests.golden import published
from toolkit.api import Backend, Head, Instances
from toolkit.testing import Lattice, assemble, blocks

SHAPES = st.sampled_from([(30, 41), (1, 30), (9, 20, 17)])
SPECS = (
    ThreeLabelWatershed(foreground=0.5),
    ThreeLabelWatershed(foreground=0.5, seeds="votes", votes=6, min_size=5),
    ThreeLabelWatershed(foreground=0.5, seeds="votes", votes=6, voters="reference", flood="everything"),
    ThreeLabelWatershed(foreground=0.5, seeds="votes", votes=6, flood="everything"),
    SdtWatershed(dilations=2, min_size=4),
    SdtWatershed(seeds="votes", votes=6, unit="micrometre"),
    AffinitiesWatershed(seed=0.8, foreground=0.5),
    AffinitiesWatershed(seed=0.7, foreground=0.5, agree="all", flood="everything"),
)


def softmax(logits: np.ndarray) -> np.ndarray:
    power = np.exp(logits - logits.max(0))
    return power / power.sum(0)


def agreement(found: Instances, labels: np.ndarray) -> float:
    """Share of voxels on which two partitions agree when each of our objects stands for one of theirs."""
    ours = found.to_labels()
    expected = np.zeros_like(labels)
    for label in range(1, len(found) + 1):
        theirs, count = np.unique(labels[ours == label], return_counts=True)
        expected[ours == label] = theirs[count.argmax()]
    pairs = {(int(a), int(b)) for a, b in zip(ours[expected > 0], expected[expected > 0], strict=True)}
    assert len({b for _, b in pairs}) == len(pairs), "two of our objects stand for one of theirs"
    return float((expected == labels).mean())


CASES = {
    "3class_seed5_dil0": lambda d: (
        ThreeLabelWatershed(seed=0.5, foreground=0.7),
        {"three_label": softmax(d["logits"])},
    ),
    "3class_seed7_dil0": lambda d: (
        ThreeLabelWatershed(seed=0.7, foreground=0.7),
        {"three_label": softmax(d["logits"])},
    ),
    "3class_cpvseeds20": lambda d: (
        ThreeLabelWatershed(foreground=0.7, seeds="votes", votes=20, voters="reference"),
        {"three_label": softmax(d["logits"]), "cpv": d["pred_cpv"]},
    ),
    "3class_cpvseeds60": lambda d: (
        ThreeLabelWatershed(foreground=0.7, seeds="votes", votes=60, voters="reference"),
        {"three_label": softmax(d["logits"]), "cpv": d["pred_cpv"]},
    ),
    "sdt_14": lambda d: (SdtWatershed(seed=-0.14, dilations=0), {"sdt": d["sdt"][None]}),
    "affinities": lambda d: (
        AffinitiesWatershed(seed=0.8, foreground=0.5, agree="all", dilations=0),
        {"affinities": d["affs"], "foreground": d["pred_fg"][None]},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_flooding_everything_gives_the_objects_of_the_published_program(case: str) -> None:
    data = published(f"cpv_label_{case}")
    spec, found = CASES[case](data)
    ours = spec.model_copy(update={"flood": "everything"}).assemble(whole(found), Backend())
    assert ours == Instances.from_labels(data["ws_fg"])


@pytest.mark.parametrize("case", CASES)
def test_flooding_the_foreground_alone_gives_the_same_wherever_there_is_a_seed(case: str) -> None:
    data = published(f"cpv_label_{case}")
    spec, found = CASES[case](data)
    ours = spec.assemble(whole(found), Backend())
    # The published program gives foreground without a seed to a distant object.
    piece, _ = ndimage.label(data["ws_fg"])
    seeded = np.isin(piece, np.unique(piece[data["seeds"] > 0]))
    assert not ours.to_labels()[~seeded].any()
    assert agreement(ours, np.where(seeded, data["ws_fg"], 0)) >= 0.999


@pytest.mark.parametrize("case", CASES)
def test_seeds_equal_those_of_the_published_program(case: str) -> None:
    data = published(f"cpv_label_{case}")
    spec, found = CASES[case](data)
    kept = spec.model_copy(update={"flood": "everything"}).keep(whole(found), Backend())
    seed = kept["seed"]
    if spec.seeds == "votes":
        voters = kept["target"] if spec.voters == "reference" else kept["target"][kept["inside"]]
        votes = np.zeros(data["cp"].size, np.int64)
        index, count = counted(voters)
        votes[index] = count
        np.testing.assert_array_equal(votes.reshape(data["cp"].shape), data["cp"])
        seed = votes > spec.votes
    np.testing.assert_array_equal(seed.reshape(data["seeds"].shape), data["seeds"] > 0)


@pytest.mark.parametrize(
    ("case", "source"), [("3class_seed7_dil1", "3class_seed7_dil0"), ("sdt_14",) * 2, ("affinities",) * 2]
)
def test_dilation_equals_the_published_program_s_where_objects_do_not_meet(case: str, source: str) -> None:
    data = published(f"cpv_label_{case}")
    spec, found = CASES[source](data)
    ours = spec.model_copy(update={"flood": "everything", "dilations": 1}).assemble(whole(found), Backend()).to_labels()
    # The published program lets neighbours overwrite each other, and then dilates what is left of them.
    masks = [data["ws_fg"] == k for k in range(1, data["ws_fg"].max() + 1)]
    alone = np.sum([ndimage.binary_dilation(mask, iterations=3) for mask in masks], axis=0) == 1
    assert (alone & (ours > 0)).sum() > 1000
    pairs = set(zip(ours[alone].tolist(), data["ws_fg_dil"][alone].tolist(), strict=True))
    assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})
    assert {b for a, b in pairs if a == 0} == {0}
    kept = data["ws_fg"] > 0
    before = set(zip(ours[kept].tolist(), data["ws_fg"][kept].tolist(), strict=True))
    assert len(before) == len(masks), "dilation leaves what is an object to its object"


def literal(spec: SeededWatershed, found: dict[str, np.ndarray], voxel_size: tuple[float, ...]) -> Instances:
    """The definition, voxel by voxel."""
    values = spec.needed(found)
    (height, seed), inside = spec.surface(values), spec.inside(values)
    shape = height.shape
    if spec.seeds == "votes":
        votes = np.zeros(shape, int)
        for place in np.ndindex(shape):
            if spec.voters == "foreground" and not inside[place]:
                continue
            vector = [found["cpv"][d][place] for d in range(len(shape))]
            if spec.unit == "micrometre":
                vector = [v * np.float32(1 / s) for v, s in zip(vector, voxel_size, strict=True)]
            target = tuple(p + round(float(v)) for p, v in zip(place, vector, strict=True))
            if spec.voters == "reference":
                target = tuple(min(max(t, 0), n - 1) for t, n in zip(target, shape, strict=True))
            if all(0 <= t < n for t, n in zip(target, shape, strict=True)):
                votes[target] += 1
        seed = votes > spec.votes
    flooded = inside if spec.flood == "foreground" else np.ones(shape, bool)
    label, _ = ndimage.label(seed & flooded)
    steps = [tuple(s * (a == d) for a in range(len(shape))) for s in (-1, 1) for d in range(len(shape))]
    steps = sorted(steps)
    waiting = [(height[tuple(p)], at, tuple(p.tolist())) for at, p in enumerate(np.argwhere(label))]
    clock = len(waiting)
    heapq.heapify(waiting)
    while waiting:
        _, _, place = heapq.heappop(waiting)
        for step in steps:
            to = tuple(p + s for p, s in zip(place, step, strict=True))
            if all(0 <= t < n for t, n in zip(to, shape, strict=True)) and flooded[to] and not label[to]:
                label[to] = label[place]
                heapq.heappush(waiting, (height[to], clock, to))
                clock += 1
    label[~inside] = 0
    ids = [k for k in range(1, label.max() + 1) if (label == k).any()]
    scores = {k: np.clip(spec.top - height[label == k].astype(float), 0, 1).mean() for k in ids}
    for _ in range(spec.dilations):
        before = label.copy()
        first = {k: int(np.flatnonzero(before == k)[0]) for k in ids}
        for k in sorted(ids, key=lambda k: -first[k]):
            label[ndimage.binary_dilation(before == k) & (before == 0)] = k
    kept = [k for k in ids if (label == k).sum() >= spec.min_size]
    return Instances.from_planes(
        np.array([label == k for k in kept]).reshape(-1, *shape), [scores[k] for k in kept] if kept else None
    )


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), SHAPES, st.sampled_from(SPECS), st.booleans())
def test_the_watershed_is_that_of_the_definition(
    seed: int, shape: tuple[int, ...], spec: SeededWatershed, coarse: bool
) -> None:
    found = heads(seed, shape, coarse)
    size = (1.5, 0.75, 0.75)[-len(shape) :]
    ours, expected = spec.assemble(whole(found, size), Backend()), literal(spec, found, size)
    assert ours == expected
    np.testing.assert_allclose(ours.scores, expected.scores, rtol=1e-5)


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 10**6),
    st.sampled_from([(40, 50), (12, 30, 31)]),
    st.integers(1, 40),
    st.sampled_from(SPECS),
    st.booleans(),
)
def test_any_blocks_give_the_instances_of_one_block(
    seed: int, shape: tuple[int, ...], size: int, spec: SeededWatershed, coarse: bool
) -> None:
    everything = whole(heads(seed, shape, coarse), (1.5, 0.75, 0.75)[-len(shape) :])
    lattice = Lattice(shape, (8,) * len(shape), (4,) * len(shape))
    ours = assemble(spec, everything, blocks(lattice, size), lattice=lattice)
    expected = spec.assemble(everything, Backend())
    assert ours == expected
    np.testing.assert_array_equal(ours.scores, expected.scores)


@pytest.mark.parametrize("spec", SPECS)
def test_a_prediction_of_nothing_has_no_instances_and_stays_as_it_was(spec: SeededWatershed) -> None:
    found = {
        "three_label": np.stack([np.ones((5, 6)), np.zeros((5, 6)), np.zeros((5, 6))]),
        "sdt": np.ones((1, 5, 6)),
        "affinities": np.zeros((2, 5, 6)),
        "foreground": np.zeros((1, 5, 6)),
        "cpv": np.full((2, 5, 6), 1e9),
    }
    found = {name: head.astype(np.float32) for name, head in found.items()}
    before = {name: head.copy() for name, head in found.items()}
    assert len(spec.assemble(whole(found), Backend())) == 0
    for name, head in found.items():
        np.testing.assert_array_equal(head, before[name])


def test_foreground_without_a_seed_is_dropped() -> None:
    sdt = np.ones((1, 7, 20), np.float32)
    sdt[0, 2:5, 2:6] = -0.3
    sdt[0, 2:5, 10:14] = -0.05
    found = SdtWatershed(dilations=0).assemble(whole({"sdt": sdt}), Backend())
    assert found.sizes.tolist() == [12]


def test_missing_heads_are_refused_with_a_sentence() -> None:
    with pytest.raises(ValueError, match="three-label needs a head cpv of 2 channels"):
        ThreeLabelWatershed(seeds="votes").check({"three_label": Head("three_label", 3)}, 2)
    ThreeLabelWatershed().check({"three_label": Head("three_label", 3)}, 2)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([(9, 11), (4, 5, 6)]), st.integers(1, 3))
def test_voxels_of_one_height_take_turns_in_the_order_in_which_they_were_reached(
    seed: int, shape: tuple[int, ...], levels: int
) -> None:
    """Meyer's flood word by word: seeds in raster order, then neighbours −z, −y, −x, +x, +y, +z."""
    rng = np.random.default_rng(seed)
    height = rng.integers(-1, levels, shape).astype(np.float32)
    seeds = np.where(rng.random(shape) < 0.1, rng.integers(1, 5, shape), 0).astype(np.int32)
    one = np.eye(len(shape), dtype=int)
    steps = [*-one, *one[::-1]]
    label, queue = seeds.copy(), []
    for place in map(tuple, np.argwhere(seeds).tolist()):
        queue.append((height[place], len(queue), place))
    reached = len(queue)
    heapq.heapify(queue)
    while queue:
        *_, place = heapq.heappop(queue)
        for step in steps:
            other = tuple(a + int(b) for a, b in zip(place, step, strict=True))
            if all(0 <= a < n for a, n in zip(other, shape, strict=True)) and not label[other]:
                label[other] = label[place]
                heapq.heappush(queue, (height[other], reached, other))
                reached += 1
    links = neighbours(np.arange(height.size), shape)
    found = flood(height.reshape(-1), links, seeds.reshape(-1))
    np.testing.assert_array_equal(found.reshape(shape), label)


@pytest.mark.slow
@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32), st.integers(1, 3), st.integers(2, 9))
def test_objects_that_grow_into_one_voxel_are_settled_together(seed: int, dilations: int, size: int) -> None:
    rng = np.random.default_rng(seed)
    shape = (23, 26)
    sdt = np.where(rng.random(shape) < 0.15, -0.5, 0.5).astype(np.float32)
    spec, seen = SdtWatershed(dilations=dilations), whole({"sdt": sdt[None]})
    one = assemble(spec, seen)
    many = assemble(spec, seen, blocks(Lattice(shape, (size, size), (0, 0)), size))
    assert many == one
    assert np.array_equal(many.scores, one.scores)
