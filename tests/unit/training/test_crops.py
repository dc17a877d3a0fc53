from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.samples import crossing, nuclei, write
from toolkit.builtin.losses.bce_dice import BceDice
from toolkit.errors import InputError, PluginError, UsageError
from toolkit.io import open_dataset
from toolkit.plugins.catalogue import Catalogue
from toolkit.plugins.recipe import Recipe
from toolkit.testing.scenes import blobs, empty
from toolkit.training import data as module
from toolkit.training.crowd import crowd
from toolkit.training.data import Crops
from toolkit.values.truth import UNANNOTATED, Truth

LOSSES = [{"kind": "bce_dice", "boundary": True}, {"kind": "embedseg:embedseg"}]
EVERYTHING = ["scale", "elastic", "flip", "rotate", "intensity", "noise"]


def recipe(loss: dict[str, Any] = LOSSES[0], crop: tuple[int, ...] = (32, 32), **training: Any) -> Recipe:
    return Recipe.parse(
        {
            "name": "small",
            "network": {"kind": "unet", "maps": [4, 8]},
            "loss": loss,
            "postprocess": {"kind": "threshold"},
            "tiling": {"window": crop, "overlap": 4},
            "training": {"crop": crop, "batch": 2, "augment": EVERYTHING, **training},
        },
        Catalogue(),
    )


def crops(folder: Path, wanted: Recipe) -> Crops:
    return Crops(open_dataset(f"{folder}:train"), wanted)


def same(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


def test_a_batch_is_a_pure_function_of_the_seed_and_its_number(tmp_path: Path) -> None:
    folder = nuclei(tmp_path / "data")
    first, second = crops(folder, recipe(seed=3)), crops(folder, recipe(seed=3))
    there = [first.batch(n) for n in range(4)]
    for n in (3, 1, 0, 2, 1):  # in any order, and again
        assert same(second.batch(n), there[n])
    assert not same(there[0], there[1])
    assert not same(crops(folder, recipe(seed=4)).batch(0), there[0])


def test_axes_that_have_changed_places_are_noticed_in_square_crops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = BceDice.targets

    def swapped(self: BceDice, truth: Truth) -> Any:
        return {name: np.swapaxes(target, -1, -2) for name, target in right(self, truth).items()}

    monkeypatch.setattr(BceDice, "targets", swapped)
    with pytest.raises(PluginError, match=r"head foreground has shape \(1, 31, 32\), and the crop \(32, 31"):
        crops(nuclei(tmp_path / "data"), recipe()).batch(0)


def test_a_small_cache_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = nuclei(tmp_path / "data")
    large = [crops(folder, recipe()).batch(n) for n in range(3)]
    monkeypatch.setattr(module, "free", lambda _: 0)
    small = crops(folder, recipe())
    assert all(same(small.batch(n), large[n]) for n in range(3))
    assert len(small._cache) == 1


def test_images_are_kept_in_half_of_the_memory_that_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write(tmp_path / "data", {"train": {name: blobs((64, 64), count=4, radius=(4, 8)) for name in "abcdef"}})
    every = crops(folder, recipe())
    every.weights()
    each = every._bytes // 6
    assert len(every._cache) == 6
    monkeypatch.setattr(module, "free", lambda _: 2 * int(3.5 * each))
    some = crops(folder, recipe())
    some.weights()
    assert 2 <= len(some._cache) <= 4
    assert some._bytes == sum(map(module._size, some._cache.values())) <= 3.5 * each


def test_crops_have_the_shape_that_the_recipe_names(tmp_path: Path) -> None:
    batch = crops(nuclei(tmp_path / "data"), recipe()).batch(0)
    assert batch["voxels"].shape == (2, 1, 32, 32)
    assert batch["voxels"].dtype == np.float32
    assert batch["0.foreground"].shape == (2, 1, 32, 32)


def finite_step(batch: dict[str, np.ndarray], wanted: Recipe) -> dict[str, float]:
    """The loss of an untrained network on a batch, and that its gradient is a number."""
    torch.manual_seed(0)
    network = wanted.network.build(1, wanted.heads, wanted.ndim).train()
    tensors = {name.removeprefix("0."): torch.from_numpy(array) for name, array in batch.items()}
    terms = wanted.loss.build()(network(tensors.pop("voxels")), tensors)
    torch.stack(list(terms.values())).sum().backward()
    assert all(p.grad is None or bool(torch.isfinite(p.grad).all()) for p in network.parameters())
    return {name: float(value.detach()) for name, value in terms.items()}


def unannotated() -> np.ndarray:
    labels = np.full((40, 40), UNANNOTATED, np.int16)
    labels[10:20, 12:22] = 1
    return labels


def cut_by_every_border() -> np.ndarray:
    return np.ones((32, 32), np.int16)


SETS = {
    "one object": {"a": blobs((40, 40), count=1)},
    "no object": {"a": empty((40, 40))},
    "unannotated": {"a": unannotated()},
    "nothing annotated": {"a": np.full((40, 40), UNANNOTATED, np.int16)},
    "cut by every border": {"a": cut_by_every_border()},
    "smaller than the crop": {
        "a": blobs((9, 17), count=2, radius=(2, 4)),
        "b": blobs((50, 12), count=2, radius=(2, 4)),
    },
    "one voxel": {"a": np.ones((1, 1), np.int16)},
    "one row": {"a": (np.arange(60) // 20)[None].astype(np.int16)},
    "volume": {"a": blobs((10, 20, 22), radius=(3, 5))},
    "thin volume": {"a": blobs((2, 30, 30), radius=(3, 5))},
}


@pytest.mark.parametrize("loss", LOSSES, ids=["bce_dice", "embedseg"])
@pytest.mark.parametrize("name", SETS)
def test_any_data_set_trains_a_step_with_a_finite_loss(tmp_path: Path, name: str, loss: dict[str, Any]) -> None:
    folder = write(tmp_path / "data", {"train": SETS[name]})
    wanted = recipe(loss, (8, 16, 16) if "volume" in name else (32, 32), crowd=0.5)
    for number in range(3):
        terms = finite_step(crops(folder, wanted).batch(number), wanted)
        assert all(np.isfinite(value) for value in terms.values()), terms


@pytest.mark.parametrize("loss", LOSSES, ids=["bce_dice", "embedseg"])
def test_overlapping_planes_train_a_step_with_a_finite_loss(tmp_path: Path, loss: dict[str, Any]) -> None:
    wanted = recipe(loss, batch=3)
    source = crops(crossing(tmp_path / "data"), wanted)
    assert source._load(0)[2].covered.max() > 1
    assert all(np.isfinite(value) for value in finite_step(source.batch(0), wanted).values())


def test_an_image_smaller_than_the_crop_is_mirrored_and_void_around(tmp_path: Path) -> None:
    folder = write(tmp_path / "data", {"train": {"a": blobs((9, 40), count=3, radius=(2, 4))}})
    source = crops(folder, recipe(augment=[]))
    for number in range(5):
        sample = source.sample(np.random.default_rng(number))
        assert sample.voxels.shape == (1, 32, 32)
        assert sample.truth.void is not None
        inside = np.flatnonzero(~sample.truth.void.all(1))
        assert inside.tolist() == list(range(inside[0], inside[0] + 9))
        assert 11 <= inside[0] <= 12  # in the middle
        assert np.array_equal(sample.voxels[0, inside[0] - 1], sample.voxels[0, inside[0] + 1])


def test_every_image_is_drawn_and_one_with_more_objects_more_often(tmp_path: Path) -> None:
    scenes = {"none": empty((40, 40)), "one": blobs((40, 40), count=1), "many": blobs((64, 64), count=9, radius=(3, 4))}
    source = crops(write(tmp_path / "data", {"train": scenes}), recipe())
    weights = source.weights()
    assert weights.sum() == pytest.approx(1)
    assert weights[0] == weights[1] < weights[2]
    assert weights[2] / weights[1] == pytest.approx(np.sqrt(len(scenes["many"].truth.ids)))


def test_a_data_set_says_how_often_an_image_is_drawn(tmp_path: Path) -> None:
    scenes = {name: blobs((40, 40), count=4, radius=(3, 4), seed=1) for name in "abcd"}
    folder = write(tmp_path / "data", {"train": scenes})
    (folder / "weights.csv").write_text("name,weight\na,3\nc,0\nd,0.5\n")
    (folder / "images" / "c.tif").write_bytes(b"never read")
    assert crops(folder, recipe()).weights() == pytest.approx(np.array([3, 1, 0, 0.5]) / 4.5)
    (folder / "weights.csv").write_text("name,weight\n" + "".join(f"{name},0\n" for name in scenes))
    with pytest.raises(InputError, match=r"all images have the weight 0: .*weights.csv"):
        crops(folder, recipe())


def test_weights_draw_as_copies_of_the_images_would(tmp_path: Path) -> None:
    a, b = blobs((40, 40), seed=1), blobs((40, 40), seed=2)
    copied = write(tmp_path / "copied", {"train": {"a": a, "a-2": a, "a-3": a, "b": b}})
    weighed = write(tmp_path / "weighed", {"train": {"a": a, "b": b}})
    (weighed / "weights.csv").write_text("name,weight\na,3\n")
    drawn = crops(copied, recipe()).weights()
    assert crops(weighed, recipe()).weights() == pytest.approx([drawn[:3].sum(), drawn[3]])


def test_a_file_that_the_disk_does_not_give_is_said_of_the_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = crops(nuclei(tmp_path / "data", train=1), recipe())

    def broken(*_: Any) -> Any:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(type(source.data), "truth", broken)
    with pytest.raises(InputError, match=r"image or its mask cannot be read any more: .*t0.tif; Input/output error"):
        source.batch(0)


def test_crops_lie_at_objects(tmp_path: Path) -> None:
    labels = np.zeros((200, 200), np.int16)
    labels[150:156, 20:26] = 5
    source = crops(write(tmp_path / "data", {"train": {"a": labels}}), recipe(augment=[]))
    for number in range(10):
        assert (source.sample(np.random.default_rng(number)).truth.layers == 5).any()


def test_a_share_of_the_crops_is_centred_where_objects_meet(tmp_path: Path) -> None:
    labels = np.zeros((300, 300), np.int16)
    labels[20:30, 20:30], labels[20:30, 31:40] = 1, 2
    labels[200:210, 200:210], labels[200:210, 240:250] = 3, 4
    folder = write(tmp_path / "data", {"train": {"a": labels}})
    for share, least, most in ((0.0, 20, 80), (0.5, 60, 95), (1.0, 100, 100)):
        source = crops(folder, recipe(augment=[], crowd=share))
        samples = [source.sample(np.random.default_rng(n)) for n in range(100)]
        assert least <= sum({1, 2} <= set(np.unique(s.truth.layers)) for s in samples) <= most


def test_a_crowd_is_where_two_objects_overlap_or_nearly_touch() -> None:
    labels = np.zeros((1, 20, 30), np.int32)
    labels[0, 5:10, 2:8], labels[0, 5:10, 12:18] = 1, 2
    columns = crowd(Truth.from_layers(labels))[:, 1]
    assert (columns.min(), columns.max()) == (9, 10)  # three voxels from both
    planes = np.zeros((2, 20, 30), bool)
    planes[0, 5:10, 2:8] = planes[1, 5:10, 7:12] = True
    both = {tuple(p) for p in np.argwhere(planes.all(0))}
    assert both <= {tuple(p) for p in crowd(Truth.from_planes(planes))}
    assert len(crowd(Truth.from_layers(labels[:, :, :10]))) == 0
    assert len(crowd(Truth.from_layers(np.where(labels == 2, UNANNOTATED, labels)))) == 0


def test_a_crowd_reaches_as_far_in_micrometres_along_every_axis() -> None:
    labels = np.zeros((1, 9, 9, 9), np.int32)
    labels[0, 2, 4, 4], labels[0, 4, 4, 4] = 1, 2
    thick = replace(Truth.from_layers(labels), voxel_size=(3.0, 1.0, 1.0))
    assert set(crowd(thick)[:, 0]) == {3}
    assert set(crowd(Truth.from_layers(labels))[:, 0]) == {1, 2, 3, 4, 5}


def test_a_data_set_that_does_not_fit_is_refused_with_a_sentence(tmp_path: Path) -> None:
    import tifffile

    folder = nuclei(tmp_path / "data", train=1)
    with pytest.raises(InputError, match=r"the recipe is 3-D and this image is 2-D: .*t0.tif; set tiling.window"):
        crops(folder, recipe(crop=(8, 16, 16))).batch(0)
    tifffile.imwrite(folder / "masks" / "t0.tif", np.zeros((5, 5), np.uint8))
    with pytest.raises(InputError, match=r"image and mask differ in shape: t0: \(40, 44\) and \(5, 5\)"):
        crops(folder, recipe()).batch(0)
    with pytest.raises(InputError, match="no images to train on"):
        Crops(replace(open_dataset(folder), items=()), recipe())


def test_what_a_loss_refuses_of_a_crop_is_said_with_its_place(tmp_path: Path) -> None:
    refused = recipe({"kind": "embedseg:embedseg", "anisotropy": [1, 1, 1]})
    with pytest.raises(UsageError, match=r"^loss: anisotropy needs one number per spatial axis"):
        crops(nuclei(tmp_path / "data"), refused).batch(0)
