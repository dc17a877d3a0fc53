"""Outlines of others: what has no corners, or none that a picture has, is a sentence."""

from __future__ import annotations

import io as streams
import json
import os
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from toolkit import io
from toolkit.errors import InputError

SQUARE = [[2, 2], [9, 2], [9, 9], [2, 9], [2, 2]]
NAN, FAR = float("nan"), 1e300
RINGS = {
    "corners that are no numbers": [[NAN, 2], [9, 2], [9, 9]],
    "a corner without an end": [[2, float("inf")], [9, 2], [9, 9]],
    "corners far away": [[-FAR, -FAR], [FAR, -FAR], [FAR, FAR]],
    "no corners": [],
    "numbers that are no corners": [1, 2, 3],
    "corners of one number": [[1], [2], [3]],
    "text": "abc",
    "corners of text": [["a", "b"]],
}


def written(folder: Path, *rings: object) -> Path:
    features = [{"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}} for ring in rings]
    (folder / "a.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return folder / "a.geojson"


@pytest.mark.parametrize("what", RINGS)
def test_an_outline_that_is_none_is_a_sentence(tmp_path: Path, what: str) -> None:
    assert len(io.read_truth(written(tmp_path, SQUARE), shape=(16, 16)).instances) == 1
    with pytest.raises(InputError, match="damaged or not supported"):
        io.read_truth(written(tmp_path, SQUARE, RINGS[what]), shape=(16, 16))


def _roi(segments: tuple[float, ...]) -> bytes:
    head = b"Iout" + struct.pack(">hBB4hH", 227, 0, 0, 0, 0, 9, 9, 0)
    return (
        head.ljust(36, b"\0") + struct.pack(">i", len(segments)).ljust(28, b"\0") + np.array(segments, ">f4").tobytes()
    )


@pytest.mark.parametrize("segments", [(4.0,), (0.0, NAN, 1.0), (0.0, 1.0), (NAN, 1.0, 1.0), (7.0,)])
def test_a_path_that_is_none_is_a_sentence(tmp_path: Path, segments: tuple[float, ...]) -> None:
    (tmp_path / "a.roi").write_bytes(_roi(segments))
    with pytest.raises(InputError):
        io.read_truth(tmp_path / "a.roi", shape=(16, 16))


def test_a_zip_that_unpacks_to_much_or_is_damaged_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = _roi((0.0, 2.0, 2.0, 1.0, 9.0, 2.0, 1.0, 9.0, 9.0, 4.0))
    stream = streams.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(20):
            archive.writestr(f"{number}.roi", good.ljust(2**16, b"\0"))
    path = tmp_path / "a_rois.zip"
    path.write_bytes(stream.getvalue())
    assert len(io.read_truth(path, shape=(16, 16)).instances) == 20
    path.write_bytes(stream.getvalue().replace(b"3.roi", b"x.roi", 1))
    with pytest.raises(InputError, match="damaged or not supported"):
        io.read_truth(path, shape=(16, 16))
    path.write_bytes(stream.getvalue())
    monkeypatch.setattr("toolkit.io.contours.MOST_ZIPPED", 2**20)
    with pytest.raises(InputError, match="these outlines are too large"):
        io.read_truth(path, shape=(16, 16))


@pytest.mark.parametrize("name", ["a.geojson", "a.roi", "a.zip"])
def test_a_pipe_is_not_waited_for(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(InputError):
        io.read_truth(tmp_path / name, shape=(16, 16))
