"""Files of label layers are parts of an image: whoever makes them, and whatever breaks, they are the same bytes, and
what is made is not made again."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import tifffile

from tests.battery.resumed import content
from tests.models import bright, load, see_through
from toolkit import io
from toolkit.errors import StorageError
from toolkit.gpu.backend import Backend
from toolkit.io import pyramid, tifflabels
from toolkit.io.shards import Make, Shard, one_by_one
from toolkit.pipeline import written
from toolkit.pipeline.elsewhere import Bench, Model, Source, shard_elsewhere
from toolkit.pipeline.passes import sweep
from toolkit.pipeline.shelf import Shelf
from toolkit.pipeline.workers import processes
from toolkit.pipeline.written import shelving
from toolkit.steps.measure import measure
from toolkit.values.image import Image
from toolkit.values.instances import Instances
from toolkit.values.scattered import Objects, Scattered
from toolkit.values.tiles import blocks

SHARDS = 2 * (6 + 5)
"""Of two layers, in the Zarr and in the TIFF."""


@pytest.fixture(autouse=True)
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("SHARD", {2: (32, 32)}), ("CHUNK", {2: (16, 32)}), ("SMALLEST", 32)):
        monkeypatch.setattr(pyramid, name, value)
    monkeypatch.setattr(tifflabels, "STRIP", 320)
    monkeypatch.setattr(tifflabels, "SLAB", 960)
    (tmp_path / "shelf").mkdir()


@pytest.fixture
def objects() -> Instances:
    """In two layers."""
    labels = np.random.default_rng(0).integers(0, 9, (50, 70))
    planes = np.stack([labels == k for k in range(1, 9)])
    planes[0] |= planes[1]
    return Instances.from_planes(planes)


def write(folder: Path, objects: Objects, make: Make = one_by_one) -> dict[str, bytes]:
    image = Image.from_array(np.zeros(objects.shape, np.uint8), name="a")
    io.write(folder, "a", objects, image, measure(objects, image), make=make)
    return content(folder)


def counted(monkeypatch: pytest.MonkeyPatch, fails: int = 0) -> list[str]:
    """The files of shards that are made here; there is no room for one of them."""
    made, original = list[str](), written.store

    def store(read: Callable[[object], Instances], folder: Path, shard: Shard) -> str:
        if len(made) + 1 == fails:
            raise StorageError("cannot keep what is done", os.strerror(errno.ENOSPC), "free space")
        made.append(shard.file)
        return original(read, folder, shard)

    monkeypatch.setattr(written, "store", store)
    return made


@pytest.mark.parametrize("fails", [1, 2, 9, SHARDS])
def test_shards_that_are_made_are_not_made_again(
    objects: Instances, fails: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = write(tmp_path / "wanted", objects)
    with monkeypatch.context() as patch:
        before = counted(patch, fails)
        with pytest.raises(StorageError):
            write(tmp_path / "out", objects, shelving(Shelf(tmp_path / "shelf", "a")))
        assert content(tmp_path / "out") == {}
    after = counted(monkeypatch)
    assert write(tmp_path / "out", objects, shelving(Shelf(tmp_path / "shelf", "a"))) == wanted
    assert len(before) == fails - 1
    assert len({*before, *after}) == len(before) + len(after) == SHARDS


def test_a_shard_that_is_damaged_is_made_again_and_others_are_not(
    objects: Instances, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = write(tmp_path / "wanted", objects, shelving(Shelf(tmp_path / "shelf", "a")))
    damaged, gone = sorted((tmp_path / "shelf").glob("labels.*"))[1:3]
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"?")
    gone.unlink()
    made = counted(monkeypatch)
    assert write(tmp_path / "out", objects, shelving(Shelf(tmp_path / "shelf", "a"))) == wanted
    assert sorted(made) == [damaged.name, gone.name]


def test_shards_of_other_objects_are_not_taken(objects: Instances, tmp_path: Path) -> None:
    write(tmp_path / "before", objects, shelving(Shelf(tmp_path / "shelf", "a")))
    fewer = objects.select(objects.sizes > objects.sizes.min())
    found = write(tmp_path / "out", fewer, shelving(Shelf(tmp_path / "shelf", "a")))
    assert found == write(tmp_path / "wanted", fewer)


def store_or_die(folder: Path, shard: Shard) -> str:
    """The first of the second layer die the first time, in the midst of writing."""
    mark = folder / f"died at {shard.file}"
    if shard.layer and not any(shard.box.start) and not mark.exists():
        mark.touch()
        (folder / ".seg-0123456789abcdef.partial").write_bytes(b"half")
        os.kill(os.getpid(), signal.SIGKILL)
    return written.store(lambda _: pytest.fail("objects in memory are in no file"), folder, shard)


@pytest.mark.slow
def test_workers_that_die_cost_their_shards_and_no_byte(
    objects: Instances, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted, shelf = write(tmp_path / "wanted", objects), Shelf(tmp_path / "shelf", "a")
    here = counted(monkeypatch)
    with processes(2) as run:
        found = write(tmp_path / "out", objects, shelving(shelf, run, partial(store_or_die, shelf.folder)))
    assert found == wanted
    assert here == []
    assert len(list(shelf.folder.glob("died at *"))) == 2


@pytest.mark.slow
@pytest.mark.parametrize("block", [1, 40])
def test_objects_in_files_of_blocks_are_painted_where_they_are_read(
    block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tifffile.imwrite(tmp_path / "a.tif", bright((100, 90)))
    named = Model.of(load(see_through(tmp_path / "model")), Backend())
    session, shelf = named.session(), Shelf(tmp_path / "shelf", "a")
    kept = session.pieces(session.prepare(Source(str(tmp_path / "a.tif")).read()), shelf=shelf)
    kept.save()
    found = sweep(session.model.recipe.postprocess, kept, blocks(kept.lattice, block), shelf=shelf)
    assert isinstance(found, Scattered)
    few = found.select(found.sizes > np.median(found.sizes))
    assert 0 < len(few) < len(found)
    wanted, here = write(tmp_path / "wanted", few.whole()), counted(monkeypatch)
    with processes(2, partial(Bench.of, named)) as run:
        remote = partial(shard_elsewhere, str(shelf.folder))
        assert write(tmp_path / "out", few, shelving(shelf, run, remote)) == wanted
    assert here == []
