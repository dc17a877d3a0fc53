"""Affinities at any offsets: what they teach, what is refused, and what a mutex watershed makes of them."""

from __future__ import annotations

import csv
import json
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import tifffile
import toolkit_cpv
import torch
from cpv_scenes import labels
from hypothesis import given, settings
from hypothesis import strategies as st
from toolkit_cpv.affinities import AffinitiesLoss

from toolkit.api import Backend, Box, Prediction, Truth, UsageError
from toolkit.testing import Catalogue, Recipe, blobs
from toolkit.testing import seg as main

RECIPE = Path(toolkit_cpv.__file__).parent / "recipes" / "affinities-isbi2012.yaml"
Offset = tuple[int, ...]


def offsets(ndim: int, reach: int = 6) -> st.SearchStrategy[tuple[Offset, ...]]:
    one = st.tuples(*[st.integers(-reach, reach)] * ndim).filter(any)
    return st.lists(one, min_size=1, max_size=4, unique=True).map(tuple)


def literal(truth: Truth, offset: Offset) -> np.ndarray:
    """The affinity of each voxel to that at `offset`, one pair at a time."""
    found = np.full(truth.shape, -1)
    for x in product(*map(range, truth.shape)):
        y = tuple(a + o for a, o in zip(x, offset, strict=True))
        mine = {int(v) for v in truth.layers[(slice(None), *x)]}
        void = truth.void is not None and truth.void[x]
        if any(not 0 <= a < n for a, n in zip(y, truth.shape, strict=True)):
            if mine == {0} and not void:
                found[x] = 0
            continue
        theirs = {int(v) for v in truth.layers[(slice(None), *y)]}
        if void or (truth.void is not None and truth.void[y]):
            continue
        blank = [-1 in ids and not any(v > 0 for v in ids) for ids in (mine, theirs)]
        if not all(blank):
            found[x] = any(v > 0 for v in mine & theirs)
    return found


def scene(seed: int, shape: tuple[int, ...]) -> Truth:
    """Two layers of overlapping objects, voxels that are not annotated, and void ones."""
    rng = np.random.default_rng(seed)
    layers = rng.choice([0, 0, 1, 1, 2], (2, *shape)).astype(np.int32)
    layers[1][layers[1] > 0] += 2
    layers[0][(layers == 0).all(0) & (rng.random(shape) < 0.3)] = -1
    return Truth.from_layers(layers, rng.random(shape) < 0.1 if seed % 2 else None)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([(7, 8), (4, 5, 4), (1, 9)]), st.data())
def test_targets_are_those_of_one_pair_at_a_time(seed: int, shape: tuple[int, ...], data: st.DataObject) -> None:
    truth, pairs = scene(seed, shape), data.draw(offsets(len(shape)))
    targets = AffinitiesLoss(erosions=0, offsets=pairs).targets(truth)["affinities"]
    assert targets.dtype == np.int8
    np.testing.assert_array_equal(targets, np.stack([literal(truth, offset) for offset in pairs]))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([(20, 18), (9, 12, 10)]), st.integers(0, 2), st.data())
def test_a_crop_says_of_a_far_pair_nothing_that_the_image_denies(
    seed: int, shape: tuple[int, ...], erosions: int, data: st.DataObject
) -> None:
    image = labels(seed, shape)
    image[(image == 0) & (labels(seed + 1, shape) > 0)] = -1
    whole = Truth.from_layers(image[None], labels(seed + 2, shape, 2) > 0)
    box = Box(tuple(n // 4 for n in shape), tuple(n - n // 4 for n in shape))
    loss = AffinitiesLoss(erosions=erosions, offsets=data.draw(offsets(len(shape), 12)))
    here = loss.targets(whole)["affinities"][(slice(None), *box.slices)]
    part = loss.targets(whole.crop(box))["affinities"]
    decided = (part != -1) & (here != -1)
    np.testing.assert_array_equal(part[decided], here[decided])
    assert (part[here == -1] <= 0).all(), "a crop knows no more than the image"


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("erosions", [0, 1])
def test_the_previous_neighbours_by_name_teach_what_null_does(ndim: int, erosions: int) -> None:
    truth = Truth.from_layers(labels(5, (14, 15, 12)[:ndim])[None])
    named = tuple(tuple(-int(a == axis) for a in range(ndim)) for axis in range(ndim))
    plain, said = AffinitiesLoss(erosions=erosions), AffinitiesLoss(erosions=erosions, offsets=named)
    assert plain.heads(ndim) == said.heads(ndim)
    for name, target in plain.targets(truth).items():
        np.testing.assert_array_equal(target, said.targets(truth)[name])


def test_an_offset_beyond_the_crop_teaches_only_that_background_has_no_affinity() -> None:
    image = np.zeros((6, 6), np.int32)
    image[:, :3] = 1
    targets = AffinitiesLoss(erosions=0, offsets=((-9, 0), (0, 6), (40, -40))).targets(Truth.from_layers(image[None]))
    np.testing.assert_array_equal(targets["affinities"], np.stack([np.where(image > 0, -1, 0)] * 3))


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("[]", "offsets is empty"),
        ("[[0, -1], [0, 0]]", r"offsets has \[0, 0\], which pairs each voxel with itself"),
        ("[[0, -1], [0, -1]]", r"offsets has \[0, -1\] twice"),
        ("[[0, -1], [0, 0, -1]]", "of unequal numbers of axes"),
        ("[[0, 0, -1]]", r"loss: offsets has \[0, 0, -1\], which needs 2 numbers, one per axis"),
    ],
)
def test_impossible_offsets_are_refused_with_a_sentence(said: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        Recipe.load(RECIPE, Catalogue(), "cpv", [f"loss.offsets={said}"])


def test_offsets_that_loss_and_postprocessor_do_not_share_are_refused_before_training(
    cells: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also by a post-processor that takes its channels for face neighbours."""
    for changes, why in (
        (("postprocess.offsets=[[-1, 0], [0, -1]]",), "the offsets are not those of the model's head affinities"),
        (
            ("loss.offsets=[[-1, 0], [0, -3]]", "postprocess=cpv:affinities"),
            "reads affinities of face neighbours alone",
        ),
    ):
        assert main(["train", "--recipe", "affinities-isbi2012", "--data", str(cells), "-o", str(tmp_path / "run"),
                     "--steps", "1", *sets(*changes)]) == 2  # fmt: skip
        assert why in capsys.readouterr().err
        assert not (tmp_path / "run").exists()


def test_turning_windows_needs_offsets_that_turn_and_an_overlap_of_twice_their_reach() -> None:
    turned = "tiling.augment=turns"
    with pytest.raises(UsageError, match=r"the offset \[.*3\] or its opposite, because \[-3, -3\] becomes"):
        Recipe.load(RECIPE, Catalogue(), "cpv", [turned])
    whole = Recipe.load(RECIPE, Catalogue(), "cpv")
    both = [list(offset) for offset in whole.heads[0].offsets or () if offset != (-3, -3)]
    changes = [turned, f"loss.offsets={both}", f"postprocess.offsets={both}"]
    assert Recipe.load(RECIPE, Catalogue(), "cpv", changes).tiling.augment == "turns"
    with pytest.raises(UsageError, match="at least 54 voxels along axis 0"):
        Recipe.load(RECIPE, Catalogue(), "cpv", [*changes, "tiling.overlap=48"])


def test_the_recipe_has_seventeen_pairs_and_an_ideal_network_gives_the_objects_back() -> None:
    recipe = Recipe.load(RECIPE, Catalogue(), "cpv")
    assert isinstance(recipe.loss, AffinitiesLoss)
    assert recipe.postprocess.kind == "mutex_watershed"
    assert recipe.heads[0].channels == len(set(recipe.loss.offsets or ())) == 17
    truth = blobs((72, 80), count=7, seed=2).truth
    heads = {name: (target == 1).astype(np.float32) for name, target in recipe.loss.targets(truth).items()}
    box = Box.whole(truth.shape)
    found = recipe.postprocess.assemble(Prediction(heads, box, box, box.shape, truth.voxel_size), Backend())
    wanted, seen = truth.layers[0], found.to_labels()
    kept = [wanted == k for k in truth.ids if (wanted == k).sum() >= recipe.postprocess.min_size]
    assert len(kept) > 3
    assert {mask.tobytes() for mask in kept} == {(seen == k).tobytes() for k in np.unique(seen[seen > 0])}


def test_pairs_of_which_nothing_is_known_pull_no_channel() -> None:
    loss = AffinitiesLoss(erosions=0, offsets=((0, -1), (0, 30)))
    truth = Truth.from_layers(np.ones((1, 8, 8), np.int32))
    heads = {head.name: torch.zeros((1, head.channels, 8, 8), requires_grad=True) for head in loss.heads(2)}
    targets = {name: torch.from_numpy(target)[None] for name, target in loss.targets(truth).items()}
    sum(loss.build()(heads, targets).values()).backward()
    assert heads["affinities"].grad[0, 0].any()
    assert not heads["affinities"].grad[0, 1].any()


def sets(*changes: str) -> list[str]:
    return [word for change in changes for word in ("--set", change)]


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cells") / "data"
    names = {"train": ["a", "b"], "val": ["c"]}
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
    for seed, name in enumerate(n for split in names.values() for n in split):
        made = blobs((64, 72), count=5, seed=seed)
        tifffile.imwrite(folder / "images" / f"{name}.tif", made.image.read()[0])
        tifffile.imwrite(folder / "masks" / f"{name}.tif", made.truth.layers[0].astype(np.uint16))
    (folder / "splits.json").write_text(json.dumps(names))
    return folder


@pytest.mark.slow
def test_what_is_trained_on_far_pairs_is_run_with_the_mutex_watershed(cells: Path, tmp_path: Path) -> None:
    small = sets("training.crop=[48,48]", "tiling.window=[64,64]", "tiling.overlap=16", "network.maps=4",
                 "network.levels=3", "training.batch=1")  # fmt: skip
    run, out = tmp_path / "run", tmp_path / "out"
    assert main(["train", "--recipe", "affinities-isbi2012", "--data", str(cells), "-o", str(run), "--steps", "2",
                 "--threads", "1", *small]) == 0  # fmt: skip
    with (run / "log.csv").open() as stream:
        assert all(float(row["affinities"]) > 0 for row in csv.DictReader(stream))
    assert main(["run", f"{cells}:val", "--model", str(run), "-o", str(out), "--workers", "1", "--no-preview"]) == 0
    assert tifffile.imread(out / "c.labels.tif").shape == (64, 72)
