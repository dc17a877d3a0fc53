"""A shelf believes what has a row and a file of the digest that the row says, and nothing else."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from toolkit.pipeline.shelf import Shelf


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A shelf with two parts of a stage."""
    shelf = Shelf(tmp_path, "image")
    for name in ("one", "two"):
        (tmp_path / name).write_bytes(name.encode() * 100)
        shelf.add("pieces", name, hashlib.sha256(name.encode() * 100).hexdigest())
    return tmp_path


def test_what_was_added_is_known_to_whoever_comes_later(folder: Path) -> None:
    assert Shelf(folder, "image").known("pieces").keys() == {"one", "two"}
    assert Shelf(folder, "image").known("scale") == {}


def test_a_part_of_another_digest_is_not_done(folder: Path) -> None:
    content = bytearray((folder / "one").read_bytes())
    content[50] ^= 1  # of the same size
    (folder / "one").write_bytes(bytes(content))
    assert Shelf(folder, "image").known("pieces").keys() == {"two"}


def test_a_part_that_is_gone_or_is_a_link_is_not_done(folder: Path, tmp_path: Path) -> None:
    (folder / "one").rename(folder / "elsewhere")
    (folder / "one").symlink_to(folder / "elsewhere")
    (folder / "two").unlink()
    assert Shelf(folder, "image").known("pieces") == {}


def test_what_has_no_row_is_tidied_away(folder: Path) -> None:
    (folder / "stray").write_bytes(b"?")
    Shelf(folder, "image").tidy()
    assert {path.name for path in folder.iterdir()} == {"journal", "one", "two"}
