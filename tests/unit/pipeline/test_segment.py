from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import tifffile

import toolkit
from tests.models import bright, by_chance, load, see_through
from toolkit.errors import InputError, ModelError
from toolkit.gpu.backend import Backend
from toolkit.pipeline.elsewhere import Bench, Model, Source, block_elsewhere, pieces_elsewhere
from toolkit.pipeline.passes import sweep
from toolkit.pipeline.session import Session
from toolkit.pipeline.shelf import Shelf
from toolkit.pipeline.workers import processes
from toolkit.values.image import Image
from toolkit.values.instances import Instances
from toolkit.values.scattered import whole
from toolkit.values.tiles import Box, blocks


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return see_through(tmp_path / "model")


def components(array: np.ndarray) -> Instances:
    from scipy.ndimage import label

    middle = (float(array.min()) + float(array.max())) / 2
    return Instances.from_labels(label(array > middle)[0])


def test_the_see_through_model_finds_what_is_bright(model: Path) -> None:
    for shape in ((100, 120), (31, 7)):
        array = bright(shape)
        assert toolkit.segment(array, str(model), device="cpu") == components(array)


@pytest.mark.parametrize("block", [None, 8, 40, 64, 128, 256])
@pytest.mark.parametrize("ndim", [2, 3])
def test_any_blocks_give_the_instances_of_one_block(tmp_path: Path, ndim: int, block: int | None) -> None:
    # A file of its own: a pipeline keeps the last model.
    package = load(see_through(tmp_path / "m", ndim, tiling={"window": [16] * ndim, "overlap": 5}))
    array = bright((150, 70) if ndim == 2 else (20, 40, 30), count=30)
    assert toolkit.segment(array, package, device="cpu", block=block) == components(array)


def test_embedseg_of_a_network_by_chance_is_the_same_for_any_blocks(tmp_path: Path) -> None:
    recipe = {
        "name": "by-chance",
        "network": {"kind": "unet", "maps": [4, 8], "norm": "instance", "units": 1},
        "loss": {"kind": "embedseg:embedseg", "grid": 65},
        "postprocess": {"kind": "embedseg:embedseg", "grid": 65, "seed": 0.6, "foreground": 0.5},
        "tiling": {"window": [32, 32], "overlap": 8},
        "training": {"crop": [32, 32]},
    }
    package = load(by_chance(tmp_path / "m", recipe, seed=2))
    array = bright((70, 90), seed=4)
    whole = toolkit.segment(array, package, device="cpu")
    assert len(whole) > 10
    for block in (1, 40, 64):
        assert toolkit.segment(array, package, device="cpu", block=block) == whole


@pytest.mark.slow
def test_any_number_of_processes_gives_the_same_instances(tmp_path: Path, model: Path) -> None:
    array, path = bright((100, 90)), tmp_path / "a.tif"
    tifffile.imwrite(path, array)
    named, where, folder = Model.of(load(model), Backend()), Source(str(path)), tmp_path / "pieces"
    session = named.session()
    seen = session.prepare(where.read())
    with processes(2, partial(Bench.of, named)) as run:
        remote = partial(pieces_elsewhere, where, seen.scale, str(folder))
        shelf = Shelf(folder, "a")
        kept = session.pieces(seen, shelf=shelf, run=run, remote=remote)
        kept.save()
        work = blocks(kept.lattice, 32)
        found = sweep(
            session.model.recipe.postprocess, kept, work, shelf=shelf, run=run,
            remote=partial(block_elsewhere, str(folder)),
        )  # fmt: skip
    assert whole(found) == components(array)


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (500, 1), (3, 2)])
def test_tiny_images_have_objects_too(model: Path, shape: tuple[int, int]) -> None:
    array = np.zeros(shape, np.uint8)
    array[0, -1] = 200
    found = toolkit.segment(array, str(model), device="cpu", block=16)
    assert len(found) == (0 if array.size == 1 else 1)  # a single voxel has no contrast


@pytest.mark.parametrize("value", [0, 7, 255])
def test_a_constant_image_has_no_objects(model: Path, value: int) -> None:
    assert len(toolkit.segment(np.full((40, 50), value, np.uint8), str(model), device="cpu")) == 0


def test_changes_apply_to_the_recipe_and_not_to_the_package(model: Path) -> None:
    package, array = load(model), bright((60, 60))
    few = toolkit.segment(array, package, changes=["postprocess.min_size=30"], device="cpu")
    all_of_them = toolkit.segment(array, package, device="cpu")
    assert few == all_of_them.select(all_of_them.sizes >= 30)
    assert len(few) < len(all_of_them)


def test_images_paths_and_arrays_are_the_same_to_it(tmp_path: Path, model: Path) -> None:
    array, path = bright((60, 64)), tmp_path / "a.tif"
    tifffile.imwrite(path, array)
    found = [toolkit.segment(x, str(model), device="cpu") for x in (array, Image.from_array(array), path, str(path))]
    assert all(f == found[0] for f in found)


def test_the_dimensions_must_fit(model: Path) -> None:
    with pytest.raises(InputError, match=r"the model works on 2-D images and this one is 3-D: .*; choose a 3-D model"):
        toolkit.segment(np.zeros((4, 40, 40), np.uint8), str(model), axes="ZYX", device="cpu")


def test_a_model_that_was_replaced_meanwhile_is_noticed(tmp_path: Path, model: Path) -> None:
    named = Model.of(load(model), Backend())
    weights = model / "best.safetensors"
    text = bytearray(weights.read_bytes())
    text[-1] ^= 1
    weights.write_bytes(text)
    with pytest.raises(ModelError, match="the model has changed since it was chosen"):
        named.session()


def test_a_file_that_was_replaced_is_read_again(tmp_path: Path, model: Path) -> None:
    bench, path = Bench.of(Model.of(load(model), Backend())), tmp_path / "a.tif"
    for stamp, array in enumerate((bright((40, 40), 1), bright((40, 40), 2))):
        tifffile.imwrite(path, array)
        seen = bench.prepared(Source(str(path), stamp=str(stamp)))
        assert bench.session.objects(bench.session.pieces(seen), bench.session.model.recipe.postprocess) == components(
            array
        )


def test_a_block_sees_its_halo_and_answers_for_its_core(model: Path) -> None:
    package, image = load(model), Image.from_array(bright((80, 80)))
    seen = []

    class Watching:
        def halo(self, ndim: int) -> tuple[int, ...]:
            return (3, 5)

        def keep(self, prediction, backend, loose=False):
            return prediction.crop(prediction.core).dense()

        def passes(self):
            from toolkit.plugins.passes import Pass

            def local(prediction, state, backend):
                seen.append((prediction.core, prediction.box, state))
                return 1

            def reduce(fragments, state, backend):
                count = sum(fragments)
                return Windowed(count) if state is None else Instances.empty((80, 80))

            return (Pass(local, reduce, int), Pass(local, reduce, int))

    class Windowed:
        def __init__(self, count: int) -> None:
            self.count = count

        def window(self, box: Box) -> tuple[int, Box]:
            return self.count, box

    session = Session(package, Backend())
    kept = session.pieces(session.prepare(image))
    sweep(Watching(), kept, blocks(kept.lattice, 40))
    first, second = seen[: len(seen) // 2], seen[len(seen) // 2 :]
    assert [c for c, _, _ in first] == [c for c, _, _ in second]
    assert sum(core.size for core, _, _ in first) == 80 * 80
    assert all(box == core.grow((3, 5), within=(80, 80)) for core, box, _ in seen)
    assert all(state is None for _, _, state in first)
    assert all(state == (len(first), box) for _, box, state in second)


@pytest.mark.parametrize("block", [None, 32])
def test_objects_of_a_shrunk_image_come_back_in_the_size_of_the_image(model: Path, block: int | None) -> None:
    small = np.kron(bright((41, 60)), np.ones((2, 3), bright((1, 1)).dtype))
    array = small[:81, :178]  # the last row and column of coarse voxels are cut
    found = toolkit.segment(array, str(model), device="cpu", block=block, changes=["input.shrink=[2,3]"])
    assert found == components(array)
