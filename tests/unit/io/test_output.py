from __future__ import annotations

import csv
import errno
import json
import zlib
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from math import prod
from pathlib import Path

import numpy as np
import ome_zarr_models
import pytest
import tifffile
import yaozarrs
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit import io
from toolkit.errors import InputError, StorageError, UsageError
from toolkit.io import output, tifflabels
from toolkit.io.pyramid import strides
from toolkit.io.render import Layers
from toolkit.io.shards import Files, Shard, one_by_one
from toolkit.steps.measure import measure
from toolkit.values.image import Image
from toolkit.values.instances import Instances
from toolkit.values.scattered import Objects
from toolkit.values.tiles import Box


def crossing(shape: tuple[int, ...]) -> Instances:
    """Three boxes, of which the second overlaps both others."""
    planes = np.zeros((3, *shape), bool)
    for plane, at in zip(planes, (0, 3, 6), strict=True):
        plane[(slice(0, 4),) * (len(shape) - 2) + (slice(at, at + 5), slice(at, at + 6))] = True
    return Instances.from_planes(planes, scores=[0.25, 0.5, 1.0])


def image(shape: tuple[int, ...], voxel_size: tuple[float, ...] = ()) -> Image:
    values = np.arange(np.prod(shape)).reshape(shape).astype(np.uint16)
    return Image.from_array(values, voxel_size=voxel_size, calibrated=bool(voxel_size))


@st.composite
def scenes(draw: st.DrawFn) -> Instances:
    """A few boxes in a small 2-D or 3-D image."""
    shape = tuple(draw(st.lists(st.integers(1, 7), min_size=2, max_size=3)))
    planes = np.zeros((draw(st.integers(0, 5)), *shape), bool)
    for plane in planes:
        corners = [sorted((draw(st.integers(0, n)), draw(st.integers(0, n)))) for n in shape]
        plane[tuple(slice(a, b) for a, b in corners)] = True
    return Instances.from_planes(planes, scores=np.linspace(0, 1, len(planes), dtype=np.float32))


@pytest.mark.slow
@settings(deadline=None, max_examples=25)
@given(scenes())
def test_objects_read_back_as_they_were(tmp_path_factory: pytest.TempPathFactory, instances: Instances) -> None:
    labels, lossless = io.write(tmp_path_factory.mktemp("out"), "a", instances, image(instances.shape))[:2]
    again = io.read_instances(lossless)
    assert again == instances
    assert np.array_equal(again.scores, instances.scores)
    axes = "L" * bool(instances.layer_of.any()) + "ZYX"[-len(instances.shape) :]
    assert io.read_instances(labels, axes) == instances
    assert io.read_truth(lossless).instances == instances


@settings(deadline=None)
@given(scenes(), st.data())
def test_rendered_boxes_and_rows_are_those_of_the_layers(instances: Instances, data: st.DataObject) -> None:
    layers, whole = Layers(instances), instances.layers()
    assert (layers.count, layers.dtype) == (len(whole), whole.dtype)
    ends = [sorted((data.draw(st.integers(0, n)), data.draw(st.integers(0, n)))) for n in instances.shape]
    box = Box(tuple(a for a, _ in ends), tuple(b for _, b in ends))
    page, (low, high) = data.draw(st.integers(0, prod(instances.shape[:-2]) - 1)), ends[-2]
    for layer, labels in enumerate(whole):
        assert np.array_equal(layers.box(layer, box), labels[box.slices])
        wanted = labels.reshape(-1, *instances.shape[-2:])[page, low:high]
        assert np.array_equal(layers.rows(layer, page, low, high), wanted)


@pytest.mark.parametrize("shape", [(12, 15), (5, 12, 15)])
def test_a_label_tiff_has_layers_and_a_voxel_size_that_others_read(tmp_path: Path, shape: tuple[int, ...]) -> None:
    instances, size = crossing(shape), (2.0, 0.5, 0.25)[-len(shape) :]
    path = io.write(tmp_path, "a", instances, image(shape, size))[0]
    with tifffile.TiffFile(path) as tif:
        series, page = tif.series[0], tif.pages[0]
        assert series.axes == "CZYX"[:1] + "ZYX"[-len(shape) :]
        assert np.array_equal(series.asarray(), instances.layers())
        assert page.compression.name == "ADOBE_DEFLATE"
        assert page.get_resolution("micrometer") == pytest.approx((4, 2))
    assert io.read(path).voxel_size == size
    assert io.read(path).channel_names == ("layer-0", "layer-1")
    assert io.read_truth(path).voxel_size == size
    assert io.read_truth(path).instances == instances


def test_labels_without_overlap_are_one_plain_label_image(tmp_path: Path) -> None:
    instances = crossing((12, 15)).select([0, 2])
    path = io.write(tmp_path, "a", instances, image((12, 15)))[0]
    assert np.array_equal(tifffile.imread(path), instances.to_labels())
    assert tifffile.imread(path).dtype == np.uint16
    assert not io.read(path).calibrated


def test_more_objects_than_16_bits_count_are_written_as_32_bits(tmp_path: Path) -> None:
    labels = np.arange(1, 70001).reshape(100, 700)
    instances = Instances.from_labels(labels)
    path = io.write(tmp_path, "a", instances, image(labels.shape))[0]
    assert tifffile.imread(path).dtype == np.uint32
    assert np.array_equal(tifffile.imread(path), labels)


@pytest.mark.parametrize("shape", [(12, 15), (700, 1500), (5, 12, 15), (4, 30, 1200)])
def test_the_zarr_is_valid_for_two_foreign_validators(tmp_path: Path, shape: tuple[int, ...]) -> None:
    instances, size = crossing(shape), (2.0, 0.5, 0.25)[-len(shape) :]
    path = io.write(tmp_path, "a", instances, image(shape, size))[1]
    for part in ("", "labels", "labels/layer-0", "labels/layer-1"):
        yaozarrs.validate_zarr_store(str(path / part))
        ome_zarr_models.open_ome_zarr(zarr.open_group(path / part, mode="r"))
    assert list(zarr.open_group(path / "labels", mode="r").attrs["ome"]["labels"]) == ["layer-0", "layer-1"]


@pytest.mark.parametrize(("shape", "size"), [((700, 1500), (0.5, 0.25)), ((9, 600, 1200), (2.0, 0.5, 0.5))])
def test_each_level_of_the_pyramid_has_the_scale_that_its_shape_says(
    tmp_path: Path, shape: tuple[int, ...], size: tuple[float, ...]
) -> None:
    instances = crossing(shape)
    path = io.write(tmp_path, "a", instances, image(shape, size))[1]
    for layer, labels in enumerate(instances.layers()):
        group = zarr.open_group(path / "labels" / f"layer-{layer}", mode="r")
        levels = group.attrs["ome"]["multiscales"][0]["datasets"]
        assert len(levels) > 1
        for level in levels:
            array, scale = group[level["path"]], level["coordinateTransformations"][0]["scale"]
            step = [int(s / v) for s, v in zip(scale, size, strict=True)]
            assert array.shape == tuple(-(-n // s) for n, s in zip(shape, step, strict=True))
            assert array.metadata.dimension_names == tuple("zyx"[-len(shape) :])
            assert np.array_equal(array[:], labels[tuple(slice(None, None, s) for s in step)])
        assert max(array.shape) <= 512
        assert io.read(path / "labels" / f"layer-{layer}").voxel_size == size


@given(
    st.lists(st.integers(1, 5000), min_size=2, max_size=3),
    st.lists(st.floats(0.01, 100), min_size=3, max_size=3),
)
def test_every_pyramid_ends_and_keeps_voxels_as_even_as_it_can(shape: list[int], size: list[float]) -> None:
    steps = strides(tuple(shape), tuple(size[: len(shape)]))
    assert all(-(-n // s) <= 512 for n, s in zip(shape, steps[-1], strict=True))
    for before, after in pairwise(steps):
        assert after != before
        assert all(b in (a, 2 * a) for a, b in zip(before, after, strict=True))


def test_a_large_volume_is_written_shard_by_shard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from toolkit.io import pyramid

    monkeypatch.setattr(pyramid, "SHARD", {3: (4, 8, 16)})
    monkeypatch.setattr(pyramid, "SMALLEST", 8)
    monkeypatch.setattr(pyramid, "CHUNK", {3: (2, 8, 8)})
    monkeypatch.setattr(tifflabels, "STRIP", 40)
    instances = crossing((9, 17, 19))
    labels, path = io.write(tmp_path, "a", instances, image(instances.shape))[:2]
    assert np.array_equal(tifffile.imread(labels), instances.layers())
    group = zarr.open_group(path / "labels" / "layer-1", mode="r")
    for level in group.attrs["ome"]["multiscales"][0]["datasets"]:
        steps = [int(s) for s in level["coordinateTransformations"][0]["scale"]]
        assert np.array_equal(
            group[level["path"]][:], instances.layers()[1][tuple(slice(None, None, s) for s in steps)]
        )


@pytest.mark.parametrize("version", ["0.5", "0.4"])
def test_every_file_of_a_level_is_made_in_one_box_alone(
    version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So those who make them at once, anywhere and in any order, need not know of each other."""
    from toolkit.io import pyramid

    monkeypatch.setattr(pyramid, "SHARD", {3: (4, 8, 8)})
    monkeypatch.setattr(pyramid, "SMALLEST", 8)
    monkeypatch.setattr(pyramid, "CHUNK", {3: (2, 8, 4)})
    instances, made = crossing((9, 17, 19)), list[tuple[int, str]]()

    def backwards(todo: Sequence[Shard], objects: Objects) -> list[Files]:
        found = [*one_by_one(todo[::-1], objects)][::-1]
        made.extend((shard.layer, name) for shard, files in zip(todo, found, strict=True) for name in files.content)
        return found

    path = io.write(tmp_path, "a", instances, image(instances.shape), version=version, make=backwards)[1]
    levels = [(n, name) for n, name in made if "/" in name]
    there = [p.relative_to(path / "labels") for p in (path / "labels").glob("layer-*/*/**/*") if p.is_file()]
    chunks = [p for p in there if p.name[0] != "." and p.name != "zarr.json"]
    assert sorted((f"layer-{n}/{name}") for n, name in levels) == sorted(map(str, chunks))
    assert version == "0.4" or len(levels) == 2 * 3 * (3 * 3 * 3)
    labels = zarr.open_group(path / "labels" / "layer-1", mode="r")["0"]
    assert (labels.shards is None) == (version == "0.4")
    assert np.array_equal(labels[...], instances.layers()[1])


@given(st.lists(st.integers(1, 40), min_size=2, max_size=4), st.integers(1, 300), st.integers(1, 2000))
def test_strips_of_all_boxes_are_those_of_the_file_in_its_order(shape: list[int], strip: int, slab: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tifflabels, "STRIP", strip)
        patch.setattr(tifflabels, "SLAB", slab)
        strips = tifflabels.Strips.over(tuple(shape), np.dtype(np.uint16))
    labels = np.arange(prod(shape), dtype=np.uint16).reshape(shape)
    found = [zlib.decompress(s) for box in strips.boxes for s in strips.files(labels[box.slices], box).values()]
    pages = labels.reshape(-1, *shape[-2:])
    assert found == [
        page[low : low + strips.high].tobytes() for page in pages for low in range(0, shape[-2], strips.high)
    ]
    assert all(box.size <= max(slab, strips.high * shape[-1]) for box in strips.boxes)


def test_every_chunk_has_a_checksum(tmp_path: Path) -> None:
    path = io.write(tmp_path, "a", crossing((12, 15)), image((12, 15)))[1]
    arrays = [json.loads(file.read_text()) for file in path.rglob("zarr.json")]
    codecs = [codec for a in arrays if a["node_type"] == "array" for codec in a["codecs"] if codec["name"] == "zstd"]
    assert len(codecs) == 8
    assert all(codec["configuration"]["checksum"] for codec in codecs)


@pytest.mark.parametrize("name", ["start", "length", "offsets", "shape"])
def test_lossless_objects_that_are_other_ones_are_noticed(tmp_path: Path, name: str) -> None:
    """Arrays that fit each other, each with its checksum, of objects that differ in one of them."""
    planes = np.zeros((2, 12, 15), bool)
    planes[0, 2, 3:6] = planes[1, 4, 3:6] = planes[1, 6, 3:6] = True
    path = io.write(tmp_path, "a", Instances.from_planes(planes), image((12, 15)))[1]
    array = zarr.open_array(path / "instances" / name, mode="r+")
    array[:] = {
        "start": [33, 63, 93 + 1],
        "length": [3, 3, 2],
        "offsets": [0, 2, 3],
        "shape": [13, 15],
    }[name]
    with pytest.raises(InputError, match="damaged"):
        io.read_instances(path)


@pytest.mark.parametrize("texts", [5, {"a": 1}, [], ["a"], "ab"])
def test_texts_of_objects_that_are_no_texts_are_noticed(tmp_path: Path, texts: object) -> None:
    planes = np.zeros((2, 12, 15), bool)
    planes[0, 2, 3:6] = planes[1, 4, 3:6] = True
    plain = Instances.from_planes(planes)
    named = replace(plain, attributes={"class": np.array(["cell", "nucleus"])})
    path = io.write(tmp_path, "a", named, image((12, 15)))[1]
    assert io.read_instances(path).attributes["class"].tolist() == ["cell", "nucleus"]
    zarr.open_array(path / "instances" / "attributes" / "class", mode="r+").attrs["texts"] = texts
    with pytest.raises(InputError, match="damaged"):
        io.read_instances(path)


def test_equal_objects_give_equal_bytes(tmp_path: Path) -> None:
    picture = image((12, 15), (0.5, 0.5))
    for name in ("one", "two"):
        instances = crossing((12, 15))
        io.write(tmp_path / name, "a", instances, picture, measure(instances, picture), picture)
    files = sorted(p.relative_to(tmp_path / "one") for p in (tmp_path / "one").rglob("*") if p.is_file())
    assert len(files) > 10
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes(), file


def test_the_table_is_written_with_empty_cells_for_the_unknown(tmp_path: Path) -> None:
    instances, picture = crossing((12, 15)), image((12, 15))
    path = io.write(tmp_path, "a", instances, picture, measure(instances, picture))[2]
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [r["id"] for r in rows] == ["1", "2", "3"]
    assert [r["score"] for r in rows] == ["0.25", "0.5", "1"]
    assert [r["area_px"] for r in rows] == ["30", "30", "30"]
    assert {r["area_um2"] for r in rows} == {""}
    assert [r["overlaps"] for r in rows] == ["1", "2", "1"]


def test_no_objects_are_written_too(tmp_path: Path) -> None:
    instances, picture = Instances.empty((12, 15)), image((12, 15))
    paths = io.write(tmp_path, "a", instances, picture, measure(instances, picture), picture)
    assert not tifffile.imread(paths[0]).any()
    assert len(io.read_instances(paths[1])) == 0
    assert len(paths[2].read_text().splitlines()) == 1
    assert io.read(paths[3]).channels == 3


def test_older_results_are_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    first, second, picture = crossing((12, 15)), crossing((12, 15)).select([1]), image((12, 15))
    (tmp_path / "other.txt").touch()
    for instances in (first, second):
        labels, lossless = io.write(tmp_path, "a", instances, picture)[:2]
        assert io.read_instances(labels) == io.read_instances(lossless) == instances
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.labels.tif", "a.zarr", "other.txt"]


def test_a_zarr_of_the_user_and_links_are_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "a.zarr" / "labels").mkdir(parents=True)
    (tmp_path / "a.zarr" / "zarr.json").write_text("mine")
    (tmp_path / "b.labels.tif").symlink_to(tmp_path / "victim")
    (tmp_path / "c.zarr").symlink_to(tmp_path / "a.zarr")
    before = sorted(tmp_path.rglob("*"))
    for stem in "abc":
        with pytest.raises(UsageError, match="written over"):
            io.write(tmp_path, stem, crossing((12, 15)), image((12, 15)))
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "a.zarr" / "zarr.json").read_text() == "mine"


@pytest.mark.parametrize("name", ["_write_all", "_publish"])
def test_a_full_disk_is_a_storage_error_and_leaves_nothing_half_written(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(output, name, fail)
    with pytest.raises(StorageError, match="No space left"):
        io.write(tmp_path, "a", crossing((12, 15)), image((12, 15)))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="file"):
        io.write(tmp_path / "file" / "out", "a", crossing((12, 15)), image((12, 15)))
