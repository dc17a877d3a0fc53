"""From annotation to results on the command line: points that teach detection, and vectors beside other methods."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile

from toolkit.testing import Catalogue, blobs, load_model
from toolkit.testing import seg as main

SMALL = ("training.crop=[64,64]", "tiling.window=[64,64]", "tiling.overlap=16", "training.batch=1")
UNET = ("network.maps=6", "network.growth=2", "network.levels=2", "training.augment=[flip,rotate]")


def sets(*changes: str) -> list[str]:
    return [word for change in changes for word in ("--set", change)]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bright blobs, annotated by masks."""
    folder = tmp_path_factory.mktemp("cells") / "data"
    names = {"train": ["a", "b", "c"], "val": ["d"]}
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
    for seed, name in enumerate(n for split in names.values() for n in split):
        scene = blobs((72, 80), count=5, seed=seed)
        tifffile.imwrite(folder / "images" / f"{name}.tif", scene.image.read()[0])
        tifffile.imwrite(folder / "masks" / f"{name}.tif", scene.truth.layers[0].astype(np.uint16))
    (folder / "splits.json").write_text(json.dumps(names))
    return folder


@pytest.fixture(scope="module")
def points(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same images, annotated by points."""
    folder = tmp_path_factory.mktemp("points") / "data"
    (folder / "masks").mkdir(parents=True)
    (folder / "images").symlink_to(data / "images")
    (folder / "splits.json").write_bytes((data / "splits.json").read_bytes())
    for path in (data / "masks").iterdir():
        labels = tifffile.imread(path)
        centres = [np.argwhere(labels == k).mean(0) for k in np.unique(labels[labels > 0])]
        rows = "".join(f"{y:.2f},{x:.2f}\n" for y, x in centres)
        (folder / "masks" / f"{path.stem}.csv").write_text(f"y,x\n{rows}")
    return folder


def begin(data: Path, out: Path, *more: str) -> int:
    return main(["train", "--data", str(data), "-o", str(out), "--threads", "1", *more])


def judged(data: Path, run: Path, out: Path, capsys: pytest.CaptureFixture[str], *changes: str) -> float:
    arguments = ["--model", str(run), "-o", str(out), "--workers", "1", "--no-preview", *sets(*changes)]
    assert main(["run", f"{data}:val", *arguments]) == 0
    capsys.readouterr()
    assert main(["evaluate", str(out), f"{data}:val", "--metric", "detection", "--json"]) == 0
    return float(json.loads(capsys.readouterr().out)["summary"]["AP_det"]["mean"])


@pytest.mark.slow
def test_points_teach_blobs_and_a_run_writes_points(
    points: Path,
    data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    obtained: Callable[[Path, Path], tuple[float, float]],
) -> None:
    run, out = tmp_path / "run", tmp_path / "out"
    assert main(["check", str(points)]) == 0
    assert "begin with gauss" in capsys.readouterr().out
    assert begin(points, run, "--recipe", "gauss", "--steps", "150", *sets(*SMALL, *UNET)) == 0
    printed = capsys.readouterr().out
    score = judged(points, run, out, capsys)
    assert score > 0.5
    assert f"score  AP_det {score:.3f} on 1 images of {points}:val" in printed
    assert obtained(run, points) == (score, score)
    with (out / "d.points.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    with (out / "d.objects.csv").open() as stream:
        table = list(csv.DictReader(stream))
    assert list(rows[0]) == ["id", "y", "x", "score"]
    assert [(r["id"], r["y"], r["x"]) for r in rows] == [(t["id"], t["centroid_y"], t["centroid_x"]) for t in table]
    labels = tifffile.imread(out / "d.labels.tif")
    assert all(labels[int(r["y"]), int(r["x"])] == int(r["id"]) for r in rows)
    assert (labels > 0).sum() == len(rows)
    # Masks are as good a truth: a centre must lie in its object.
    assert judged(data, run, tmp_path / "again", capsys, "postprocess.radius=2") > 0.5
    assert (tifffile.imread(tmp_path / "again" / "d.labels.tif") > 0).sum() > 5 * len(rows)
    # What a run writes can be the annotation of another one.
    again = tmp_path / "data"
    (again / "images").mkdir(parents=True)
    (again / "masks").mkdir()
    (again / "images" / "d.tif").write_bytes((data / "images" / "d.tif").read_bytes())
    (again / "masks" / "d.points.csv").write_bytes((out / "d.points.csv").read_bytes())
    assert main(["evaluate", str(out), f"{again}:all", "--metric", "detection@1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["summary"]["AP_det@1um"]["mean"] == 1


@pytest.mark.slow
def test_points_teach_vectors_and_votes_find_them(
    points: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    obtained: Callable[[Path, Path], tuple[float, float]],
) -> None:
    changes = ("loss=cpv", "loss.radius_um=4", "postprocess.source=votes", "postprocess.votes=8")
    assert begin(points, tmp_path / "run", "--recipe", "gauss", "--steps", "200", *sets(*SMALL, *UNET, *changes)) == 0
    score = judged(points, tmp_path / "run", tmp_path / "out", capsys)
    assert score > 0
    assert obtained(tmp_path / "run", points) == (score, score)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("plugin", "changes"),
    [
        ("embedseg", ("network.maps=4",)),
        ("ppp", ("network.maps=4", "network.levels=3", "network.upward_maps=8", "loss.pixels=256")),
    ],
)
def test_vectors_are_an_auxiliary_task_of_other_methods(
    plugin: str,
    changes: tuple[str, ...],
    data: Path,
    tmp_path: Path,
    obtained: Callable[[Path, Path], tuple[float, float]],
) -> None:
    run = tmp_path / "run"
    more = sets(*SMALL, *changes, "auxiliary=cpv")
    assert begin(data, run, "--plugin", plugin, "--steps", "3", *more) == 0
    with (run / "log.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert all(float(row["auxiliary.cpv"]) > 0 for row in rows)
    said, found = obtained(run, data)
    assert said == found
    heads = {head.name: head.channels for head in load_model(str(run), Catalogue()).heads}
    assert heads["cpv"] == 2
    image = str(data / "images" / "d.tif")
    for out, with_votes in (("own", ()), ("votes", ("postprocess=cpv:points", "postprocess.source=votes"))):
        arguments = ["--model", str(run), "-o", str(tmp_path / out), "--workers", "1", "--no-preview"]
        assert main(["run", image, *arguments, *sets(*with_votes)]) == 0
        assert (tmp_path / out / "d.labels.tif").is_file()


def test_a_head_that_is_missing_for_the_chosen_seeds_is_said(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert begin(data, run, "--recipe", "sdt", "--steps", "1", *sets(*SMALL, *UNET)) == 0
    image = str(data / "images" / "d.tif")
    arguments = ["run", image, "--model", str(run), "-o", str(tmp_path / "out")]
    assert main([*arguments, *sets("postprocess.seeds=votes")]) == 2
    said = capsys.readouterr().err
    assert "post-processor sdt needs a head cpv of 2 channels: the model has sdt (1)" in said
    assert "Traceback" not in said


@pytest.mark.slow
def test_volumes_of_unknown_voxel_size_are_said_to_be_of_cubes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for kind in ("images", "masks"):
        (tmp_path / "data" / kind).mkdir(parents=True)
    for name in "ab":
        scene = blobs((12, 32, 32), count=3, radius=(3.0, 5.0), seed=ord(name))
        tifffile.imwrite(tmp_path / "data" / "images" / f"{name}.tif", scene.image.read()[0])
        tifffile.imwrite(tmp_path / "data" / "masks" / f"{name}.tif", scene.truth.layers[0].astype(np.uint16))
    (tmp_path / "data" / "meta.json").write_text(json.dumps({"axes": "ZYX", "masks": "ZYX"}))
    (tmp_path / "data" / "splits.json").write_text(json.dumps({"train": ["a"], "val": ["b"]}))
    changes = ("training.crop=[8,16,16]", "tiling.window=[8,16,16]", "tiling.overlap=4", "network.maps=2")
    run = tmp_path / "run"
    assert begin(tmp_path / "data", run, "--recipe", "three-label-cpv-3d", "--steps", "1", *sets(*changes)) == 0
    assert "the voxel size is unknown: voxels are taken for cubes" in capsys.readouterr().err
    image = str(tmp_path / "data" / "images" / "b.tif")
    arguments = ["run", image, "--model", str(run), "-o", str(tmp_path / "out"), "--workers", "1", "--no-preview"]
    assert main([*arguments, *sets("postprocess.seeds=votes")]) == 0
    assert "the voxel size is unknown: voxels are taken for cubes" in capsys.readouterr().err
