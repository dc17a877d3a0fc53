from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import ome_zarr_models
import pytest
import tifffile
import yaozarrs
import zarr

from tests.unit.view.looked_at import discs
from toolkit import io
from toolkit.errors import InputError, UsageError
from toolkit.exchange import also
from toolkit.exchange.imagej import write_imagej
from toolkit.steps.measure import measure
from toolkit.values.image import Image
from toolkit.values.instances import Instances


def rings() -> Instances:
    """Two rings that overlap, and an object of two pieces."""
    y, x = np.mgrid[:60, :80]
    planes = np.zeros((3, 60, 80), bool)
    for k, centre in enumerate((25, 45)):
        distance = np.hypot(y - 30, x - centre)
        planes[k] = (distance < 20) & (distance > 8)
    planes[2, 2:6, 60:70], planes[2, 50:58, 70:78] = True, True
    return Instances.from_planes(planes, [0.9, 0.5, 0.25], {"class": np.array([1, 0, 1])})


def written(folder: Path, objects: Instances, names: tuple[str, ...], size: tuple[float, ...] = ()) -> list[Path]:
    shape = objects.shape
    image = Image.from_array(np.ones(shape, np.uint8), voxel_size=size, calibrated=bool(size))
    return list(also.write(names, folder, "cells", objects, image, measure(objects, image)))


def test_geojson_keeps_overlaps_holes_and_pieces_and_says_what_the_table_says(tmp_path: Path) -> None:
    objects = rings()
    (path,) = written(tmp_path, objects, ("geojson",))
    again = io.read_truth(path, shape=objects.shape).instances
    assert again == objects
    data = json.loads(path.read_text())
    assert data["type"] == "FeatureCollection"
    pieces, first, _ = data["features"]
    assert (pieces["geometry"]["type"], len(pieces["geometry"]["coordinates"])) == ("MultiPolygon", 2)
    assert (first["geometry"]["type"], len(first["geometry"]["coordinates"])) == ("Polygon", 2)
    about = first["properties"]
    assert (about["objectType"], about["name"], about["classification"]["name"]) == ("detection", "2", "1")
    assert about["measurements"]["score"] == pytest.approx(float(objects.scores[1]))
    assert about["measurements"]["area_px"] == objects.sizes[1]
    assert "area_um2" not in about["measurements"], "what is not known is left out"
    for ring in (*first["geometry"]["coordinates"], *pieces["geometry"]["coordinates"][0]):
        assert ring[0] == ring[-1]


def test_volumes_are_planes_of_geojson_and_regions_with_a_position(tmp_path: Path) -> None:
    objects = discs((6, 30, 40), 4, 1, 10)
    geojson, rois = written(tmp_path, objects, ("geojson", "rois"))
    planes = [
        (f["properties"]["name"], f["geometry"]["plane"]["z"]) for f in json.loads(geojson.read_text())["features"]
    ]
    expected = [(str(k + 1), z) for k in range(len(objects)) for z in range(6) if objects.mask(k)[0].start[0] <= z
                < objects.mask(k)[0].stop[0]]  # fmt: skip
    assert planes == expected
    names = zipfile.ZipFile(rois).namelist()
    assert names == [f"{k}-{z + 1}.roi" for k, z in expected]
    head = zipfile.ZipFile(rois).read(names[0])
    second = int.from_bytes(head[60:64], "big")
    assert int.from_bytes(head[second + 8 : second + 12], "big") == expected[0][1] + 1


@pytest.mark.parametrize("objects", [rings(), discs((200, 300), 30, 3)], ids=["rings", "discs"])
def test_regions_of_imagej_are_the_objects_again(tmp_path: Path, objects: Instances) -> None:
    (path,) = written(tmp_path, objects, ("rois",))
    assert io.read_truth(path, shape=objects.shape).instances == objects
    before = path.read_bytes()
    assert written(tmp_path, objects, ("rois",)) == [path]
    assert path.read_bytes() == before, "equal objects are equal bytes"


def test_imagej_has_layers_as_channels_calibration_and_colours(tmp_path: Path) -> None:
    objects = discs((5, 30, 40), 6, 1, 12)
    (path,) = written(tmp_path, objects, ("imagej",), (2.0, 0.5, 0.25))
    with tifffile.TiffFile(path) as file:
        assert file.is_imagej
        layers = objects.layers()
        assert (file.series[0].axes, file.series[0].shape) == ("ZCYX", (5, len(layers), 30, 40))
        assert np.array_equal(file.asarray(), np.moveaxis(layers, 0, 1))
        about = file.imagej_metadata
        assert (about["channels"], about["slices"], about["spacing"], about["unit"]) == (len(layers), 5, 2.0, "micron")
        (x, per), (y, own) = (file.pages[0].tags[f"{a}Resolution"].value for a in "XY")
        assert (x / per, y / own) == (4, 2)
        assert about["LUTs"][0].shape == (3, 256)
    assert io.read(path, axes="ZCYX").voxel_size == (2.0, 0.5, 0.25)


def test_more_labels_than_imagej_tells_apart_are_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toolkit.exchange.imagej.EXACT", 3)
    with pytest.raises(InputError, match="too many for ImageJ"):
        write_imagej(tmp_path / "a.tif", rings(), None, "YX")


def test_what_cannot_be_written_is_refused_before_anything_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    also.known(("imagej", "rois", "geojson"))
    with pytest.raises(UsageError, match=r"--also geojsn; did you mean 'geojson'"):
        also.known(("geojsn",))
    monkeypatch.setattr("toolkit.exchange.h5ad.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'seg-toolkit\[anndata\]'"):
        also.known(("anndata",))


def test_the_table_goes_to_anndata_as_spatialdata_asks_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = {}

    class AnnData(SimpleNamespace):
        def write_h5ad(self, path: Path) -> None:
            kept["path"], kept["data"] = path, self
            path.write_bytes(b"h5ad")

    class DataFrame(SimpleNamespace):
        def __init__(self, data: object = None, index: object = None) -> None:
            super().__init__(data=data, index=index)

    monkeypatch.setitem(sys.modules, "anndata", SimpleNamespace(AnnData=AnnData))
    monkeypatch.setitem(sys.modules, "pandas", SimpleNamespace(DataFrame=DataFrame, Categorical=list))
    objects = rings()
    (path,) = written(tmp_path, objects, ("anndata",))
    assert path.read_bytes() == b"h5ad"
    found = kept["data"]
    assert found.obs.data["instance_id"].tolist() == [1, 2, 3]
    assert found.obs.data["class"].tolist() == objects.attributes["class"].tolist()
    assert found.obsm["spatial"] == pytest.approx(objects.centroids[:, ::-1])
    assert found.X[:, found.var.index.index("area_px")].tolist() == objects.sizes.tolist()
    said = found.uns["spatialdata_attrs"]
    assert set(found.obs.data[said["region_key"]]) == {said["region"]}
    assert said["instance_key"] in found.obs.data


@pytest.mark.parametrize("version", ["0.5", "0.4"])
@pytest.mark.parametrize("shape", [(60, 70), (700, 900), (6, 40, 50)])
def test_the_zarr_shows_image_and_labels_with_colours_and_properties(
    tmp_path: Path, version: str, shape: tuple[int, ...]
) -> None:
    objects = discs(shape, 12, 1, 15)
    voxels = np.random.default_rng(0).integers(0, 5000, (2, *shape)).astype(np.uint16)
    image = Image(voxels, "C" + "ZYX"[-len(shape) :], name="cells", channel_names=("DAPI", ""))
    path = io.write(tmp_path, "cells", objects, image, measure(objects, image), version=version)[1]
    root = zarr.open_group(path, mode="r")
    assert root.metadata.zarr_format == (3 if version == "0.5" else 2)
    about = dict(root.attrs["ome"] if version == "0.5" else root.attrs)  # type: ignore[arg-type]
    assert np.array_equal(root["0"][...], voxels)
    levels = about["multiscales"][0]["datasets"]
    assert len(levels) == 1 + (max(shape) > 512)
    if len(levels) > 1:
        assert root["1"][0, 0, 0] == round(voxels[0, :2, :2].mean())
    first = about["omero"]["channels"][0]
    assert (first["label"], first["active"]) == ("DAPI", True)
    assert 0 <= first["window"]["start"] < first["window"]["end"] <= first["window"]["max"]
    said = []
    for layer, labels in enumerate(objects.layers()):
        group = zarr.open_group(path / "labels" / f"layer-{layer}", mode="r")
        assert np.array_equal(group["0"][...], labels)
        label = dict(group.attrs["ome"] if version == "0.5" else group.attrs)["image-label"]  # type: ignore[arg-type]
        ids = sorted(int(v) for v in np.unique(labels) if v)
        assert [c["label-value"] for c in label["colors"]] == ids
        assert all(len(c["rgba"]) == 4 for c in label["colors"])
        said += label["properties"]
    size = "area_px" if len(shape) == 2 else "volume_px"
    by_id = {p["label-value"]: p for p in said}
    assert [by_id[k + 1][size] for k in range(len(objects))] == objects.sizes.tolist()
    assert [by_id[k + 1]["class"] for k in range(len(objects))] == objects.attributes["class"].tolist()
    assert io.read_instances(path) == objects
    for part in ("", "labels", "labels/layer-0"):
        ome_zarr_models.open_ome_zarr(zarr.open_group(path / part, mode="r"), version=version)
        if version == "0.5":
            yaozarrs.validate_zarr_store(str(path / part))
    assert io.write(tmp_path, "cells", objects, image, version=version)[1] == path, "it is replaced"


def test_an_image_that_is_too_large_is_not_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toolkit.io.zarrimage.COPIED", 100)
    objects = discs((60, 70), 5, 1)
    path = io.write(tmp_path, "cells", objects, Image.from_array(np.ones((60, 70), np.uint8)))[1]
    root = zarr.open_group(path, mode="r")
    assert "0" not in root
    assert root.attrs["ome"]["multiscales"][0]["datasets"][0]["path"] == "labels/layer-0/0"  # type: ignore[index,call-overload]


def test_chunks_of_the_older_version_have_checksums_too(tmp_path: Path) -> None:
    objects = discs((60, 70), 5, 1)
    path = io.write(tmp_path, "a", objects, Image.from_array(np.ones((60, 70), np.uint8)), version="0.4")[1]
    said = [json.loads(file.read_text())["compressor"] for file in path.rglob(".zarray")]
    assert len(said) > 7
    assert all(codec == {"id": "zstd", "level": 3, "checksum": True} for codec in said)
