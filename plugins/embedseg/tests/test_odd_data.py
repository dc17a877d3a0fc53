"""Data that break programs: thin volumes, small images, no objects, objects at borders, wrong anisotropy, crowds."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from test_cluster import whole
from toolkit_embedseg.cluster import EmbedSegClusters

from toolkit.api import Backend
from toolkit.testing import Catalogue, Recipe, load_model, segment, train

SMALL = ["training.steps=2", "training.batch=2"]
NETWORKS = {"embedseg": "network.maps=4", "embedseg-3d": "network.width=0.25"}


def data(folder: Path, *volumes: np.ndarray) -> Path:
    """A data set of label images that are their own images; the first one is also `val`."""
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    for k, labels in enumerate(volumes):
        tifffile.imwrite(
            folder / "images" / f"{k}.tif",
            (labels > 0).astype(np.uint8) * 200 + (labels.size % 7),
            photometric="minisblack",
        )
        tifffile.imwrite(folder / "masks" / f"{k}.tif", labels.astype(np.uint16), photometric="minisblack")
    axes = "ZYX"[-volumes[0].ndim :]
    (folder / "meta.json").write_text(json.dumps({"axes": axes, "masks": axes, "licence": "CC0-1.0"}))
    splits = {"train": [str(k) for k in range(len(volumes))], "val": ["0"]}
    (folder / "splits.json").write_text(json.dumps(splits))
    return folder


def trained(where: Path, out: Path, name: str = "embedseg", *changes: str) -> list[dict[str, str]]:
    catalogue = Catalogue()
    owner, path = catalogue.locate("recipes", name, "embedseg")
    train(Recipe.load(path, catalogue, owner, [*SMALL, NETWORKS[name], *changes]), where, out, threads=1, owner=owner)
    with (out / "log.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 2
    assert all(np.isfinite(float(row["loss"])) for row in rows)
    return rows


def square(shape: tuple[int, ...], *places: tuple[int, ...], side: int = 8) -> np.ndarray:
    labels = np.zeros(shape, np.int32)
    for k, place in enumerate(places):
        labels[tuple(slice(max(0, p), p + side) for p in place)] = k + 1
    return labels


@pytest.mark.slow
def test_volumes_thinner_than_the_stride_train_and_are_segmented(tmp_path: Path) -> None:
    volume = square((3, 40, 40), (0, 4, 4), (0, 20, 22))
    shape = ("tiling.window=[8,32,32]", "tiling.overlap=[0,8,8]", "training.crop=[8,32,32]")
    flat = ("loss.anisotropy=[]", "postprocess.anisotropy=[]")
    trained(data(tmp_path / "data", volume), tmp_path / "run", "embedseg-3d", *shape, *flat)
    model = load_model(str(tmp_path / "run"), Catalogue(), "embedseg")
    image = (volume > 0).astype(np.float32)
    assert segment(image, model, device="cpu").shape == volume.shape


CROP = ("training.crop=[64,64]", "tiling.window=[64,64]", "tiling.overlap=16")


@pytest.mark.slow
@pytest.mark.parametrize(
    "images",
    [
        (square((20, 30), (4, 4)),),
        (square((100, 100), (40, 40)),),
        (square((70, 70)), square((70, 70))),
        (square((50, 50), (-4, -4), (-4, 20), (46, 46), (20, 46), (46, -4)),),
        (square((9, 200), (0, 4), (0, 100)),),
    ],
    ids=["smaller than a crop", "one object", "no object", "cut by every border", "a strip"],
)
def test_odd_images_train(tmp_path: Path, images: tuple[np.ndarray, ...]) -> None:
    trained(data(tmp_path / "data", *images), tmp_path / "run", "embedseg", *CROP)


def test_a_hundred_thousand_objects_are_found() -> None:
    side, apart = 317, 4
    shape = (side * apart,) * 2
    axis = np.arange(side * apart)
    offset = (axis // apart * apart + 1 - axis).astype(np.float32) / 63
    heads = {
        "offsets": np.stack(np.meshgrid(offset, offset, indexing="ij")),
        "bandwidth": np.full((2, *shape), np.log(1 / (2 * (1 / 63) ** 2)) / 10, np.float32),
        "seediness": np.full((1, *shape), 0.95, np.float32),
    }
    found = EmbedSegClusters(grid=64, min_size=4).assemble(whole(heads), Backend())
    assert len(found) == side**2 > 10**5
    assert (found.sizes == apart**2).all()
