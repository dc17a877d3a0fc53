"""`seg evaluate` as a whole."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import tifffile

from toolkit import io
from toolkit.cli import main
from toolkit.values.image import Image
from toolkit.values.instances import Instances

from ..unit.scenes import disturbed, labels  # noqa: TID252


def folders(root: Path, count: int = 4) -> tuple[str, str, str]:
    """Predictions, worse predictions and truth."""
    for name in ("pred", "worse", "true"):
        (root / name).mkdir()
    for seed in range(count):
        image = labels(seed)
        near = disturbed(image, seed)
        far = disturbed(disturbed(near, seed + 1), seed + 2)
        for name, array in (("pred", near), ("worse", far)):
            tifffile.imwrite(root / name / f"{seed}.labels.tif", array.astype(np.uint16))
        tifffile.imwrite(root / "true" / f"{seed}.tif", image.astype(np.uint16))
    return str(root / "pred"), str(root / "worse"), str(root / "true")


def test_the_table_names_values_means_and_intervals(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    predicted, _, true = folders(tmp_path)
    assert main(["evaluate", predicted, true, "--metric", "S"]) == 0
    out = capsys.readouterr().out
    assert "S@0.50" in out
    assert "95 % interval" in out
    assert "4 images" in out
    assert "PQ" not in out


def test_json_is_one_document_on_stdout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    predicted, _, true = folders(tmp_path)
    output = tmp_path / "deep" / "out.json"
    assert main(["evaluate", predicted, true, "--samples", "20", "--json", "--output", str(output)]) == 0
    document = json.loads(capsys.readouterr().out)
    assert {"mean", "pooled", "interval"} <= set(document["summary"]["S@0.50"])
    assert [image["name"] for image in document["images"]] == ["0", "1", "2", "3"]
    assert json.loads(output.read_text()) == document


@pytest.mark.slow
def test_tables_and_page_are_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    predicted, worse, true = folders(tmp_path)
    arguments = ["evaluate", predicted, true, "--against", worse, "--csv", str(tmp_path / "csv"), "--metric", "S"]
    assert main([*arguments, "--html", str(tmp_path / "r.html")]) == 0
    out = capsys.readouterr().out
    assert "difference" in out
    assert (tmp_path / "csv" / "images.csv").read_text().count("\n") == 5
    assert (tmp_path / "csv" / "objects.csv").is_file()
    assert (tmp_path / "r.html").read_text().startswith("<!DOCTYPE html>")
    assert not list(tmp_path.glob(".seg-*"))
    (tmp_path / "link.html").symlink_to("r.html")
    (tmp_path / "r.html").write_text("mine")
    assert main([*arguments, "--html", str(tmp_path / "link.html")]) == 2
    assert "a link is not written over" in capsys.readouterr().err
    assert (tmp_path / "r.html").read_text() == "mine"


@pytest.mark.slow
def test_only_what_an_evaluation_made_is_written_over_and_nothing_before_that_is_known(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    predicted, _, true = folders(tmp_path)
    page, document, tables = tmp_path / "r.html", tmp_path / "r.json", tmp_path / "csv"
    arguments = ["evaluate", predicted, true, "--metric", "S", "--samples", "20", "--html", str(page)]
    arguments += ["--output", str(document), "--csv", str(tables)]
    for _ in range(2):
        assert main(arguments) == 0
    before = document.read_bytes()
    for path in (page, document, tables / "images.csv"):
        own = path.read_bytes()
        path.write_bytes(b"mine")
        assert main([*arguments, "--metric", "F1"]) == 2
        assert path.read_bytes() == b"mine"
        assert path == document or document.read_bytes() == before
        path.write_bytes(own)
    (tables / "run.json").touch()
    assert main(arguments) == 2
    assert "this is the result of a run" in capsys.readouterr().err
    first = next(p for p in sorted(Path(true).iterdir()) if p.is_file())
    kept = first.read_bytes()
    assert main([*arguments[:-6], "--html", str(first)]) == 2
    assert first.read_bytes() == kept


@pytest.mark.linux
def test_what_is_no_file_and_no_folder_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    predicted, _, _ = folders(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    assert main(["evaluate", predicted, str(tmp_path / "pipe")]) == 5
    assert "this is no file and no folder" in capsys.readouterr().err


@pytest.mark.slow
def test_two_workers_print_what_one_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    predicted, _, true = folders(tmp_path)
    out = []
    for workers in ("1", "2"):
        assert main(["evaluate", predicted, true, "--workers", workers, "--metric", "S"]) == 0
        out.append(capsys.readouterr().out)
    assert out[0] == out[1]


def test_planes_and_labels_are_told_apart_by_axes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    planes = np.zeros((2, 20, 20), np.uint8)
    planes[0, :12, :12], planes[1, 8:, 8:] = 1, 1
    tifffile.imwrite(tmp_path / "a.tif", planes)
    layers = planes.astype(np.uint16)
    layers[1] *= 2
    tifffile.imwrite(tmp_path / "b.labels.tif", layers)
    arguments = ["evaluate", str(tmp_path / "b.labels.tif"), str(tmp_path / "a.tif")]
    assert main([*arguments, "--pred-axes", "LYX", "--truth-axes", "QYX", "--metric", "S", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["summary"]["S@0.95"]["mean"] == 1


def test_the_folder_of_a_run_keeps_overlaps_and_scores(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    planes = np.zeros((3, 30, 40), bool)
    planes[0, 2:20, 2:20], planes[1, 10:28, 10:28], planes[2, 5:25, 30:38] = True, True, True
    image = Image.from_array(planes.sum(0).astype(np.uint8))
    io.write(tmp_path / "out", "cells", Instances.from_planes(planes, [0.9, 0.5, 0.7]), image, preview=image)
    tifffile.imwrite(tmp_path / "cells.tif", planes.astype(np.uint8), photometric="minisblack")
    arguments = ["evaluate", str(tmp_path / "out"), str(tmp_path / "cells.tif"), "--truth-axes", "QYX", "--json"]
    assert main([*arguments, "--metric", "S", "--metric", "AP_coco"]) == 0
    summary = json.loads(capsys.readouterr().out)["summary"]
    assert summary["S@0.95"]["mean"] == 1
    assert summary["AP_coco"]["pooled"] == 1


def _error(capsys: pytest.CaptureFixture[str]) -> str:
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    return captured.err


def test_a_missing_partner_is_one_line_and_exit_5(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    predicted, _, true = folders(tmp_path)
    (tmp_path / "true" / "2.tif").unlink()
    assert main(["evaluate", predicted, true]) == 5
    assert "a prediction has no truth: 2" in _error(capsys)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((5, 5), np.uint8), "differ in shape"),
        (np.full((24, 30), 0.5, np.float32), "whole numbers"),
        (np.full((24, 30), -2, np.int16), "may hold -1"),
    ],
)
def test_bad_predictions_are_one_line_and_exit_5(
    array: np.ndarray, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    predicted, _, true = folders(tmp_path)
    tifffile.imwrite(tmp_path / "pred" / "1.labels.tif", array)
    assert main(["evaluate", predicted, true]) == 5
    assert words in _error(capsys)


def test_an_unknown_metric_is_exit_2_and_names_the_nearest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    predicted, _, true = folders(tmp_path)
    assert main(["evaluate", predicted, true, "--metric", "VOX"]) == 2
    assert "VOI" in _error(capsys)
