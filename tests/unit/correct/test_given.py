"""A result and corrections that somebody else made: all of it is a sentence, none of it leads anywhere."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from tests.unit.correct.results import found, result, save, without
from toolkit.cli import main
from toolkit.correct.correct import correct
from toolkit.correct.history import History
from toolkit.correct.result import opened
from toolkit.errors import InputError, UsageError
from toolkit.files.journal import Journal, row_of, signed


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return result(tmp_path_factory.mktemp("made"), ("a", "b"))


@pytest.fixture
def out(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "images.seg"))


@pytest.fixture
def merged(out: Path) -> Path:
    """The journal of a result of which one image was corrected."""
    save(out, "a", without(found(out, "a")))
    correct(opened(out))
    return opened(out).corrections / "history" / "journal.txt"


def changed(out: Path, change: Callable[[dict[str, Any]], None]) -> None:
    record = json.loads((out / "run.json").read_text())
    change(record)
    (out / "run.json").write_text(json.dumps(record))


RECORDS: dict[str, Callable[[dict[str, Any]], None]] = {
    "files that lie elsewhere": lambda r: r["images"][0].update(files=["../b.zarr"]),
    "files at an absolute path": lambda r: r["images"][0].update(files=["/b.zarr"]),
    "a stem that climbs": lambda r: r["images"][0].update(stem="../a"),
    "a shape of text": lambda r: r["images"][0].update(shape=["x"]),
    "no voxels": lambda r: r["images"][0].update(shape=[0, 3]),
    "axes that make no sense": lambda r: r["options"].update(axes="YYYY"),
    "axes that are a number": lambda r: r["options"].update(axes=5),
    "voxels without a size": lambda r: r["options"].update(voxel_size=[0, 1]),
    "voxels of no number": lambda r: r["options"].update(voxel_size=[float("nan"), 1]),
    "an enlargement of a million": lambda r: r["images"][0].update(size={"by": [1e6, 1e6]}),
    "no images": lambda r: r.update(images=[]),
    "images that are text": lambda r: r.update(images="a"),
}


@pytest.mark.parametrize("what", RECORDS)
def test_a_record_that_cannot_be_true_is_a_sentence(out: Path, what: str) -> None:
    changed(out, RECORDS[what])
    with pytest.raises(InputError, match=r"record of this result is damaged|holds the objects of no image"):
        opened(out)


def test_objects_of_another_shape_than_the_record_says_are_a_sentence(out: Path) -> None:
    changed(out, lambda record: record["images"][0].update(shape=[48, 57]))
    save(out, "a", np.zeros((48, 57), np.uint8))
    assert "another shape" in str(correct(opened(out)).images[0].error)


def test_a_history_that_is_a_link_is_not_written_through(out: Path, tmp_path: Path) -> None:
    save(out, "a", without(found(out, "a")))
    (tmp_path / "own").mkdir()
    (opened(out).corrections / "history").symlink_to(tmp_path / "own")
    with pytest.raises(UsageError, match="a link is not written through"):
        correct(opened(out))
    assert list((tmp_path / "own").iterdir()) == []


def test_corrections_that_are_a_link_are_not_written_through(out: Path, tmp_path: Path) -> None:
    save(out, "a", without(found(out, "a")))
    elsewhere = Path(opened(out).corrections.rename(tmp_path / "own"))
    opened(out).corrections.symlink_to(elsewhere)
    (elsewhere / f".seg-{'0' * 16}.partial").write_bytes(b"what a killed process left, perhaps")
    before = sorted(elsewhere.iterdir())
    with pytest.raises(UsageError, match="a link is not written through"):
        correct(opened(out))
    assert sorted(elsewhere.iterdir()) == before


@pytest.mark.parametrize(
    "change",
    [{"state": "../../x.state"}, {"state": "/etc/x"}, {"base": "../x"}, {"merge": "1"}, {"image": 5}, {"state": 1}],
)
def test_a_row_that_leads_out_of_the_history_is_damage(merged: Path, out: Path, change: dict[str, Any]) -> None:
    row = row_of(merged.read_bytes())
    merged.write_text(signed({**row, **change}))
    with pytest.raises(InputError, match="history of corrections is damaged"):
        History(opened(out).corrections)


@pytest.mark.parametrize("row", [5, "text", [1], None, {}])
def test_a_row_that_is_none_is_damage(merged: Path, out: Path, row: object) -> None:
    merged.write_text(signed(row))
    if row is None:  # which no line says
        assert History(opened(out).corrections).rows == []
        return
    with pytest.raises(InputError, match="history of corrections is damaged"):
        History(opened(out).corrections)


def test_a_line_that_is_signed_and_no_row_ends_what_is_believed(tmp_path: Path) -> None:
    from hashlib import sha256

    lines = [signed([1]), *(f"{text} {sha256(text.encode()).hexdigest()}\n" for text in ("{", "[" * 99999))]
    (tmp_path / "journal").write_text("".join(lines))
    assert Journal(tmp_path / "journal").rows() == [[1]]


@pytest.mark.parametrize("what", ["9" * 5000, f"{'9' * 5000}:,:", "-1", "0:1"])
def test_numbers_that_no_image_has_are_a_sentence(out: Path, what: str, capsys: pytest.CaptureFixture[str]) -> None:
    folder = opened(out).corrections
    folder.mkdir()
    (folder / "right.csv").write_text(f'image,what\na,"{what}"\n', encoding="utf8")
    assert main(["correct", str(out)]) == 5
    assert capsys.readouterr().err.count("error: ") == 1


def pipe(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def loop(path: Path) -> None:
    path.symlink_to(path)


def nothing(path: Path) -> None:
    path.write_bytes(b"")


def large(path: Path) -> None:
    """A good file of 2 GB of zeros, packed."""
    tifffile.imwrite(path, shape=(32768, 32768), dtype=np.uint16, compression="zlib", tile=(4096, 4096),
                     data=(np.zeros((4096, 4096), np.uint16) for _ in range(64)))  # fmt: skip


def lying(path: Path) -> None:
    tifffile.imwrite(path, np.zeros((48, 56), np.uint8))
    data = bytearray(path.read_bytes())
    at = data.find((257).to_bytes(2, "little") + b"\3\0\1\0\0\0")  # ImageLength
    data[at + 8 : at + 10] = b"\xff\xff"
    path.write_bytes(data)


@pytest.mark.slow
@pytest.mark.parametrize("make", [pipe, device, loop, nothing, large, lying])
def test_a_file_that_holds_no_labels_of_the_image_is_a_sentence(out: Path, make: Callable[[Path], None]) -> None:
    path = opened(out).corrections / "a.tif"
    path.parent.mkdir()
    make(path)
    began = time.process_time()
    done = correct(opened(out), right=["b"])
    assert {one.image: one.error is not None for one in done.images} == {"a": True, "b": False}
    assert time.process_time() - began < 5
