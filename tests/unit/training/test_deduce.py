"""What a training deduces from its data and its memory, and what it does where memory runs out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from tests.samples import nuclei
from toolkit.errors import InputError, OutOfMemory
from toolkit.gpu import memory
from toolkit.gpu.backend import Backend, short
from toolkit.plugins.catalogue import Catalogue
from toolkit.plugins.recipe import Recipe
from toolkit.steps.survey import Survey
from toolkit.training import step as steps
from toolkit.training.deduce import deduce, halved, smaller
from toolkit.training.footprint import Footprint, footprint
from toolkit.training.start import fitted, train
from toolkit.training.team import Team
from toolkit.values.truth import Truth

CATALOGUE = Catalogue(allow=())
LIGHT = Footprint(0, 1.0)


def recipe(ndim: int = 2, **training: Any) -> Recipe:
    side = [16] * ndim
    usual = {"crop": side, "batch": 4, "steps": 3}
    return Recipe.parse(
        {
            "name": "small",
            "network": {"kind": "unet", "maps": [4, 8]},
            "loss": {"kind": "bce_dice"},
            "postprocess": {"kind": "threshold", "min_size": 4},
            "tiling": {"window": side, "overlap": 4},
            "training": usual | training,
        },
        CATALOGUE,
    )


def squares(side: int, shape: tuple[int, ...] = (400, 600), count: int = 3, voxel_size: Any = ()) -> Survey:
    labels = np.zeros((1, *shape), np.int32)
    for k in range(count):
        labels[(0, *(slice(3, 3 + side) for _ in shape[1:]), slice(k * (side + 2), k * (side + 2) + side))] = k + 1
    return Survey.of([Truth.from_layers(labels, voxel_size=voxel_size)])


def test_a_survey_knows_sizes_extents_share_and_voxels() -> None:
    seen = squares(5, (20, 30), voxel_size=(1.0, 0.5))
    assert (seen.images, seen.ndim, seen.objects) == (1, 2, 3)
    assert seen.sizes.tolist() == [25, 25, 25]
    assert seen.extents.tolist() == [[5, 5]] * 3
    assert seen.share == 75 / 600
    assert seen.anisotropy == (2.0, 1.0)
    assert seen.spans.tolist() == [10.0] * 3


def test_unknown_voxels_do_not_count_into_the_share() -> None:
    labels, void = np.zeros((1, 4, 4), np.int32), np.zeros((4, 4), bool)
    labels[0, 0], void[2:] = 1, True
    assert Survey.of([Truth.from_layers(labels, void)]).share == 0.5


def test_crops_are_four_objects_wide_within_the_images_and_the_limits() -> None:
    stride = recipe().network.stride(2)[0]
    for side, wanted in ((2, 64), (30, 120), (120, 256)):
        found, _ = deduce(recipe(), squares(side), LIGHT, 10**9, CATALOGUE)
        assert found.training.crop == (-(-wanted // stride) * stride,) * 2
    found, _ = deduce(recipe(), squares(30, (50, 300)), LIGHT, 10**9, CATALOGUE)
    assert found.training.crop == (50, 120)
    assert found.tiling.window == (50, 300)


def test_fields_that_were_named_stay() -> None:
    found, said = deduce(recipe(), squares(30), LIGHT, 10**9, CATALOGUE, fixed={"training.crop", "training.batch"})
    assert found.training.crop == (16, 16)
    assert {d.field for d in said} == {"tiling.window", "tiling.overlap"}


def test_little_memory_takes_crops_from_the_batch_before_it_makes_them_smaller() -> None:
    seen, full = squares(30), 120 * 120
    batches = [deduce(recipe(), seen, LIGHT, n, CATALOGUE)[0].training for n in (4 * full, 3 * full, full, full // 2)]
    assert [(t.batch, t.accumulate, t.crop[0]) for t in batches] == [(4, 1, 120), (2, 2, 120), (1, 4, 120), (1, 4, 60)]


def test_a_gpu_takes_more_crops_at_once_and_as_many_as_the_recipe_says_in_a_step() -> None:
    for batch, accumulate, cpu, gpu in ((4, 1, (4, 1), (8, 1)), (2, 8, (2, 8), (8, 2)), (3, 4, (3, 4), (6, 2))):
        for on_gpu, wanted in ((False, cpu), (True, gpu)):
            found, _ = deduce(recipe(batch=batch, accumulate=accumulate), squares(30), LIGHT, 10**9, CATALOGUE,
                              on_gpu=on_gpu)  # fmt: skip
            assert (found.training.batch, found.training.accumulate) == wanted


def test_a_crop_is_halved_down_to_the_stride_and_a_batch_down_to_one() -> None:
    now, seen = recipe(), [(4, 1, 16)]
    while (changes := smaller(now)) is not None:
        now = now.changed(changes, CATALOGUE)
        seen.append((now.training.batch, now.training.accumulate, now.training.crop[0]))
    stride = now.network.stride(2)[0]
    assert seen == [(4, 1, 16), (2, 2, 16), (1, 4, 16), *((1, 4, n) for n in (8, 4, 2) if n >= stride)]
    assert halved((32, 96, 96), recipe(3)) == (32, 48, 48)


@pytest.mark.parametrize(("batch", "accumulate"), [(3, 1), (5, 2), (6, 1), (7, 4), (9, 1)])
def test_a_smaller_batch_leaves_no_crop_of_a_step_out(batch: int, accumulate: int) -> None:
    changes = smaller(recipe(batch=batch, accumulate=accumulate))
    now = recipe().changed(changes or (), CATALOGUE).training
    assert now.batch <= batch / 2
    assert now.batch * now.accumulate == batch * accumulate


def test_the_footprint_grows_with_the_network() -> None:
    wanted = (recipe().changed([f"network.maps={m}"], CATALOGUE) for m in ([4, 8], [16, 32]))
    few, many = (footprint(one, Backend()) for one in wanted)
    assert 2 * few.voxel < many.voxel
    assert 2 * few.fixed < many.fixed
    assert few.bytes((8, 8), 2) == int(few.fixed + 128 * few.voxel)


def test_maps_of_16_bits_take_less_memory_where_they_are_computed() -> None:
    wanted = recipe().changed(["network.maps=[32, 64]"], CATALOGUE)
    on_gpu, here = footprint(wanted, Backend("cuda:0")), footprint(wanted, Backend())
    assert on_gpu.fixed == here.fixed
    assert on_gpu.voxel == here.voxel if short(Backend()) else on_gpu.voxel < 0.8 * here.voxel


def test_free_memory_heeds_the_limit_of_a_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info, limit = tmp_path / "meminfo", tmp_path / "max"
    info.write_text("MemTotal: 9000000 kB\nMemAvailable: 8000000 kB\n")
    monkeypatch.setattr(memory, "MEMINFO", info)
    monkeypatch.setattr(memory, "LIMIT", limit)
    limit.write_text("max\n")
    assert memory.free(Backend()) == int(memory.SHARE * 8_000_000 * 1024) - memory.BASE
    limit.write_text(f"{2**31}\n")
    assert memory.free(Backend()) == int(memory.SHARE * 2**31) - memory.BASE


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return nuclei(tmp_path_factory.mktemp("nuclei") / "data", train=2, val=1)


def test_a_recipe_is_fitted_to_a_data_set(data: Path) -> None:
    found, said = fitted(recipe(), data, CATALOGUE)
    assert found.training.crop == (40, 44)
    assert all(deduction.reason for deduction in said)


def test_data_without_objects_are_refused_where_sizes_are_to_be_deduced(tmp_path: Path) -> None:
    from tests.samples import write

    empty = np.zeros((20, 20), np.int32)
    folder = write(tmp_path / "data", {"train": {"a": empty}, "val": {"b": empty}})
    with pytest.raises(InputError, match="there are no objects to deduce sizes from"):
        fitted(recipe(), folder, CATALOGUE)


def scarce(monkeypatch: pytest.MonkeyPatch, most: int, error: BaseException) -> None:
    """Training steps have memory for so many voxels."""

    def run(self: Team, name: str, voxels: torch.Tensor, *more: Any) -> dict[str, torch.Tensor]:
        if voxels.numel() > most:
            raise error
        return original(self, name, voxels, *more)

    original = Team.__call__
    monkeypatch.setattr(Team, "__call__", run)


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("[enforce fail] can't allocate memory"), torch.cuda.OutOfMemoryError("CUDA")]
)
def test_a_training_without_memory_goes_on_with_fewer_then_smaller_crops_and_says_so(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    said: list[str] = []
    scarce(monkeypatch, 8 * 8, error)
    done = train(recipe(), data, tmp_path / "run", threads=1, say=said.append)
    assert done.progress.step == 3
    assert [line.rpartition("with ")[2] for line in said] == [
        "2 crop(s) of [16, 16] at once",
        "1 crop(s) of [16, 16] at once",
        "1 crop(s) of [8, 8] at once",
    ]
    assert all("memory does not suffice for a training step" in line for line in said)
    stored = yaml.safe_load((tmp_path / "run/recipe.yaml").read_text())
    assert (stored["training"]["batch"], stored["training"]["crop"]) == (1, [8, 8])
    record = json.loads((tmp_path / "run/training.json").read_text())
    assert record["smaller"] == [
        *("training.batch=2", "training.accumulate=2", "training.batch=1", "training.accumulate=4"),
        "training.crop=[8, 8]",
    ]
    assert record["steps"] == 3
    assert record["epochs"] == 6.0
    # Whoever resumes names the recipe that it was begun with; it goes on with the smaller one.
    assert train(recipe(), data, tmp_path / "run", threads=1, resume=True) == done
    assert yaml.safe_load((tmp_path / "run/recipe.yaml").read_text()) == stored


def test_memory_for_no_crop_at_all_is_a_sentence(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scarce(monkeypatch, 0, MemoryError())
    with pytest.raises(OutOfMemory, match="memory does not suffice for a training step: batch of 1 crops"):
        train(recipe(), data, tmp_path / "run", threads=1)


def test_gradients_of_shallow_volumes_are_computed_in_32_bits() -> None:
    depth = recipe(3).network.stride(3)[0]
    network = recipe(3).network
    assert not steps.mixed(network, (2 * depth, 16, 16), Backend())
    assert steps.mixed(network, (2 * depth, 16, 16), Backend("cuda:0"))
    assert steps.mixed(network, (4 * depth, 16, 16), Backend())
    assert steps.mixed(network, (16, 16), Backend())
