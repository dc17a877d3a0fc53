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
from toolkit.exchange.rois import write_rois
from toolkit.values.instances import Instances

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


def _rectangle(subtype: int = 0, box: tuple[int, int, int, int] = (2, 2, 9, 9)) -> bytes:
    head = (b"Iout" + struct.pack(">hBB4hH", 227, 1, 0, *box, 0)).ljust(48, b"\0")
    return (head + struct.pack(">h", subtype)).ljust(64, b"\0")


def _zip(path: Path, **entries: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return path


@pytest.mark.parametrize("entries", [{"readme.txt": b"a"}, {"__MACOSX/._a.roi": b"a"}])
def test_a_zip_without_a_region_is_refused(tmp_path: Path, entries: dict[str, bytes]) -> None:
    with pytest.raises(InputError, match=r"this zip holds no \.roi"):
        io.read_truth(_zip(tmp_path / "a.zip", **entries), shape=(16, 16))


def test_a_zip_of_nothing_is_that_of_an_image_without_objects(tmp_path: Path) -> None:
    write_rois(tmp_path / "a.zip", Instances.empty((16, 16)))
    assert len(io.read_truth(tmp_path / "a.zip", shape=(16, 16)).instances) == 0


def test_what_a_mac_adds_to_a_zip_is_no_region(tmp_path: Path) -> None:
    entries = {"a.roi": _rectangle(), "__MACOSX/._a.roi": b"\0\5\x16\7", "._b.roi": b"\0\5\x16\7"}
    assert io.read_truth(_zip(tmp_path / "a.zip", **entries), shape=(16, 16)).instances.sizes.tolist() == [49]


def test_text_is_no_object_and_is_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    entries = {"a.roi": _rectangle(), "b.roi": _rectangle(1), "c.roi": _rectangle(5, (10, 10, 12, 12))}
    assert len(io.read_truth(_zip(tmp_path / "a.zip", **entries), shape=(16, 16)).instances) == 2
    assert "outlines left out: 1 of text or a picture" in caplog.text


def test_features_that_give_no_object_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = written(tmp_path, SQUARE, [[3.1, 3.1], [3.2, 3.1], [3.2, 3.2]])
    data = json.loads(path.read_text())
    data["features"] += [{"type": "Feature", "geometry": None}, {"type": "Feature", "geometry": None}]
    path.write_text(json.dumps(data))
    assert len(io.read_truth(path, shape=(16, 16)).instances) == 1
    assert "outlines left out: 2 without a geometry, 1 around the middle of no pixel" in caplog.text


def test_a_collection_of_polygons_is_one_object(tmp_path: Path) -> None:
    parts: list[dict[str, object]] = [
        {"type": "Polygon", "coordinates": [SQUARE]},
        {"type": "Polygon", "coordinates": [[[11, 11], [13, 11], [13, 13], [11, 13]]]},
    ]
    path = tmp_path / "a.geojson"
    path.write_text(json.dumps({"type": "Feature", "geometry": {"type": "GeometryCollection", "geometries": parts}}))
    assert io.read_truth(path, shape=(16, 16)).instances.sizes.tolist() == [53]
    parts[1] = {"type": "Point", "coordinates": [1, 1]}
    path.write_text(json.dumps({"type": "GeometryCollection", "geometries": parts}))
    with pytest.raises(InputError, match="feature 1 is no area but a Point"):
        io.read_truth(path, shape=(16, 16))
    path.write_text(json.dumps({"type": "Polygon"}))
    with pytest.raises(InputError, match="feature 1 is a Polygon without corners"):
        io.read_truth(path, shape=(16, 16))
