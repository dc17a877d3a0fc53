"""What the network says depends on the image alone: bit for bit the same for any blocks and in any process."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.models import bright, by_chance, load, see_through
from toolkit.errors import OutOfMemory, PluginError
from toolkit.gpu.backend import Backend
from toolkit.pipeline.elsewhere import Model, Source
from toolkit.pipeline.predictor import Predictor
from toolkit.pipeline.raw import activate, one_thread
from toolkit.pipeline.workers import processes
from toolkit.steps import normalise
from toolkit.steps.normalise import Normalise, Scale
from toolkit.values.image import Image
from toolkit.values.prediction import Head
from toolkit.values.tiles import Box, blocks

UNET = {"kind": "unet", "maps": [4, 8], "norm": "instance", "units": 1}
ERFNET = {"kind": "embedseg:erfnet", "width": 0.25}


def recipe(network: dict[str, Any], ndim: int, **tiling: Any) -> dict[str, Any]:
    window = (32, 32) if ndim == 2 else (8, 16, 16)
    return {
        "name": "by-chance",
        "network": network,
        "loss": {"kind": "embedseg:embedseg"} if network is ERFNET else {"kind": "bce_dice", "boundary": True},
        "postprocess": {"kind": "embedseg:embedseg"} if network is ERFNET else {"kind": "threshold"},
        "tiling": {"window": window, "overlap": [w // 4 for w in window], **tiling},
        "training": {"crop": window},
    }


@pytest.fixture(params=["unet-2", "unet-3", "erfnet-2", "erfnet-3"])
def folder(request, tmp_path: Path) -> Path:
    name, _, ndim = request.param.partition("-")
    return by_chance(tmp_path / "model", recipe(ERFNET if name == "erfnet" else UNET, int(ndim)))


def scaled(array: np.ndarray) -> tuple[Image, Scale]:
    image = Image.from_array(array)
    return image, normalise.fit(image, Normalise())


SHAPES = {2: (75, 90), 3: (10, 20, 29)}


def test_any_blocks_get_the_heads_of_one_block_bit_for_bit(folder: Path) -> None:
    predictor = Predictor(load(folder), Backend())
    image, scale = scaled(bright(SHAPES[predictor.recipe.ndim]))
    lattice = predictor.lattice(image.shape)
    whole = predictor(image, scale, Box.whole(image.shape))
    for name, head in whole.heads.items():
        assert head.dtype == np.float32
        assert head.std() > 0.01, f"{name} says nothing"
    for size in (8, 30):
        for block in blocks(lattice, size):
            outer = block.core.grow((3,) * image.ndim, within=image.shape)
            part = predictor(image, scale, outer)
            for name, head in whole.crop(outer).heads.items():
                assert np.array_equal(part[name], head)
    odd = Box(tuple(n // 3 for n in image.shape), tuple(n // 3 + 1 for n in image.shape))
    for name, head in whole.crop(odd).heads.items():
        assert np.array_equal(predictor(image, scale, odd)[name], head)


def elsewhere(model: Model, array: np.ndarray, box: Box) -> dict[str, np.ndarray]:
    image, scale = scaled(array)
    return model.session().predictor(image, scale, box).heads


@pytest.mark.slow
def test_another_process_gets_the_same_heads_bit_for_bit(tmp_path: Path) -> None:
    array = bright((40, 50))
    whole, box = Box.whole(array.shape), Box((10, 20), (30, 45))
    with processes(1) as run:
        for name, network in (("unet", UNET), ("erfnet", ERFNET)):
            model = Model.of(load(by_chance(tmp_path / name, recipe(network, 2))), Backend())
            here = elsewhere(model, array, whole)
            all_of_it, part = run(partial(elsewhere, model, array), [whole, box])
            for head, values in here.items():
                assert np.array_equal(all_of_it[head], values)
                assert np.array_equal(part[head], values[(slice(None), *box.slices)])


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_the_number_of_threads_of_the_caller_changes_nothing_and_is_kept(tmp_path: Path, threads: int) -> None:
    predictor = Predictor(load(by_chance(tmp_path / "m", recipe(UNET, 2))), Backend())
    image, scale = scaled(bright((64, 64)))
    wanted = predictor(image, scale, Box.whole(image.shape)).heads
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        found = predictor(image, scale, Box.whole(image.shape)).heads
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert all(np.array_equal(found[name], wanted[name]) for name in wanted)
    with pytest.raises(ZeroDivisionError), one_thread():
        1 / 0  # noqa: B018
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (500, 1), (2, 3), (31, 33), (1, 1, 1), (3, 40, 1), (1, 5, 60)])
def test_images_of_any_shape_are_predicted(tmp_path: Path, shape: tuple[int, ...]) -> None:
    predictor = Predictor(load(by_chance(tmp_path / "m", recipe(UNET, len(shape)))), Backend())
    array = np.random.default_rng(1).integers(0, 255, shape).astype(np.uint16)
    image, scale = scaled(array)
    found = predictor(image, scale, Box.whole(shape))
    assert {h.shape for h in found.heads.values()} == {(1, *shape)}
    assert all(np.isfinite(h).all() for h in found.heads.values())
    assert found.shape == shape


def test_a_small_image_is_mirrored_up_to_the_stride(tmp_path: Path) -> None:
    predictor = Predictor(load(by_chance(tmp_path / "m", recipe(UNET, 2))), Backend())
    array = bright((19, 25))
    image, scale = scaled(array)
    mirrored, _ = scaled(np.pad(array, ((0, 1), (0, 1)), mode="reflect"))
    found = predictor(image, scale, Box.whole(image.shape))
    wanted = predictor(mirrored, scale, Box((0, 0), (19, 25)))
    assert predictor.lattice(image.shape).window == (20, 26)
    assert all(np.array_equal(found[name], wanted[name]) for name in found.heads)


def test_windows_answer_for_their_cores_only(tmp_path: Path) -> None:
    # The see-through model knows no context: each voxel's head is a function of its value, and so are no seams seen.
    predictor = Predictor(load(see_through(tmp_path / "m")), Backend())
    array = bright((100, 70))
    image, scale = scaled(array)
    found = predictor(image, scale, Box.whole(image.shape))["foreground"][0]
    for value in np.unique(array):
        assert len(np.unique(found[array == value])) == 1


class Scarce(torch.nn.Module):
    """Has memory for `limit` windows at once."""

    def __init__(self, limit: int, error: Exception) -> None:
        super().__init__()
        self.limit, self.error, self.seen = limit, error, []

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        self.seen.append(len(x))
        if len(x) > self.limit:
            raise self.error
        return {"foreground": x.mean((2, 3), keepdim=True) + x}


ERRORS = [
    torch.cuda.OutOfMemoryError("CUDA out of memory"),
    MemoryError(),
    RuntimeError("[enforce fail at alloc_cpu.cpp:118] DefaultCPUAllocator: can't allocate memory"),
]


@pytest.mark.parametrize("error", ERRORS, ids=["cuda", "python", "torch"])
@pytest.mark.parametrize("limit", [1, 3, 8])
def test_a_batch_is_halved_until_it_fits_and_the_heads_stay_the_same(tmp_path: Path, limit: int, error) -> None:
    image, scale = scaled(bright((100, 100)))
    found = {}
    for batch in (1, 8):
        predictor = Predictor(load(see_through(tmp_path / "m")), Backend())
        predictor.engine._module, predictor._batch = Scarce(limit, error), batch
        found[batch] = predictor(image, scale, Box.whole(image.shape))["foreground"]
    assert np.array_equal(found[1], found[8])
    assert predictor.engine._module.seen.count(8) <= 1 or limit == 8  # the smaller batch is kept


@pytest.mark.parametrize("error", ERRORS, ids=["cuda", "python", "torch"])
def test_memory_for_no_window_is_a_sentence(tmp_path: Path, error) -> None:
    predictor = Predictor(load(see_through(tmp_path / "m")), Backend())
    predictor.engine._module = Scarce(0, error)
    image, scale = scaled(bright((40, 40)))
    with pytest.raises(OutOfMemory, match=r"memory does not suffice for one window: window \[32, 32\] on cpu"):
        predictor(image, scale, Box.whole(image.shape))


def test_other_errors_of_a_network_are_not_taken_for_lack_of_memory(tmp_path: Path) -> None:
    predictor = Predictor(load(see_through(tmp_path / "m")), Backend())
    predictor.engine._module = Scarce(0, RuntimeError("shapes cannot be multiplied"))
    image, scale = scaled(bright((40, 40)))
    with pytest.raises(PluginError, match=r"unet failed: RuntimeError: shapes cannot be multiplied"):
        predictor(image, scale, Box.whole(image.shape))


@pytest.mark.parametrize(
    ("activation", "wanted"),
    [("none", [-2.0, 0.5]), ("sigmoid", [0.11920292, 0.62245935]), ("tanh", [-0.9640276, 0.46211717])],
)
def test_activations_are_those_that_the_head_names(activation: Any, wanted: list[float]) -> None:
    raw = torch.tensor([-2.0, 0.5]).reshape(1, 2, 1, 1)
    assert np.allclose(activate(raw, Head("a", 2, activation)).flatten(), wanted)
    assert activate(raw, Head("a", 2, "softmax")).sum(1).item() == pytest.approx(1)


def test_turns_are_averaged_before_or_after_the_activation(tmp_path: Path) -> None:
    image, scale = scaled(bright((32, 32)))
    heads = {}
    for augment in ("none", "turns", "turns_after"):
        model = load(by_chance(tmp_path / augment, recipe(UNET, 2, augment=augment)))
        heads[augment] = Predictor(model, Backend())(image, scale, Box.whole(image.shape))["foreground"]
    before, after = heads["turns"], heads["turns_after"]
    assert not np.array_equal(before, after)
    assert not np.array_equal(before, heads["none"])
    np.testing.assert_allclose(before, after, atol=0.3)


def test_the_image_and_the_scale_are_not_changed(tmp_path: Path) -> None:
    predictor = Predictor(load(by_chance(tmp_path / "m", recipe(UNET, 2))), Backend())
    array = bright((50, 50)).astype(np.float32)
    before = array.copy()
    image, scale = scaled(array)
    first = predictor(image, scale, Box.whole(image.shape)).heads
    again = predictor(image, scale, Box.whole(image.shape)).heads
    assert np.array_equal(array, before)
    assert all(np.array_equal(first[name], again[name]) for name in first)


def test_a_source_and_a_model_name_what_they_are() -> None:
    assert Source("a.tif") != Source("a.tif", stamp="2")


def test_turns_are_averaged_before_or_after_the_activation_as_the_recipe_says(tmp_path: Path) -> None:
    array = bright((32, 32))
    mirrored = [(slice(None, None, a), slice(None, None, b)) for a in (1, -1) for b in (1, -1)]

    def said(augment: str, voxels: np.ndarray) -> np.ndarray:
        model = load(by_chance(tmp_path / augment, recipe(UNET, 2, augment=augment)))
        image, _ = scaled(voxels)
        return Predictor(model, Backend())(image, scaled(array)[1], Box.whole(image.shape))["foreground"][0]

    turned = [said("none", array[m])[m] for m in mirrored]
    turned += [said("none", np.ascontiguousarray(array.T[m]))[m].T for m in mirrored]
    after, before = np.mean(turned, 0), 1 / (1 + np.exp(-np.mean([np.log(p / (1 - p)) for p in turned], 0)))
    assert np.abs(after - before).max() > 1e-2
    np.testing.assert_allclose(said("turns_after", array), after, atol=1e-4)
    np.testing.assert_allclose(said("turns", array), before, atol=1e-3)


def test_a_part_of_a_part_of_a_window_is_that_part(tmp_path: Path) -> None:
    predictor = Predictor(load(by_chance(tmp_path, recipe(UNET, 2))), Backend())
    image, scale = scaled(bright((60, 50)))
    window = list(predictor.lattice(image.shape).windows())[-1]
    (seen,) = predictor.windows(image, scale, [window])
    part = seen.crop(Box(tuple(a + 2 for a in seen.box.start), seen.box.stop))
    inner = Box(tuple(a + 5 for a in seen.box.start), tuple(b - 1 for b in seen.box.stop))
    expected = seen["foreground"][(slice(None), *inner.relative_to(seen.box).slices)]
    np.testing.assert_array_equal(part.crop(inner)["foreground"], expected)


def test_inside_one_thread_there_is_one_and_afterwards_as_many_as_before() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with one_thread():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_what_a_window_says_is_of_its_core_in_its_part_of_the_image(tmp_path: Path) -> None:
    predictor = Predictor(load(by_chance(tmp_path, recipe(UNET, 2))), Backend())
    image, scale = scaled(bright((60, 50)))
    windows = list(predictor.lattice(image.shape).windows())
    seen = list(predictor.windows(image, scale, windows))
    assert [s.core for s in seen] == [w.core for w in windows]
    assert [s.box for s in seen] == [w.outer & Box.whole(image.shape) for w in windows]
