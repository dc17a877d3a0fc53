"""The lock of a folder, where others remove or replace its file."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest

from toolkit.errors import StorageError
from toolkit.files.lock import LOCK, held


def test_a_lock_whose_file_was_removed_meanwhile_is_taken_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between opening and locking, whoever held the lock may have removed its file: what is locked then is no lock."""
    flock, late = fcntl.flock, [True]

    def lock(handle: int, how: int) -> None:
        if late.pop() if late else False:
            (tmp_path / LOCK).unlink()
        flock(handle, how)

    monkeypatch.setattr(fcntl, "flock", lock)
    with held(tmp_path):
        assert (tmp_path / LOCK).is_file()
        with pytest.raises(StorageError, match="another run writes"), held(tmp_path):
            pass


def test_a_lock_of_somebody_else_is_left_where_it_is(tmp_path: Path) -> None:
    with held(tmp_path):
        (tmp_path / LOCK).rename(tmp_path / "moved")
        (tmp_path / LOCK).write_text("17")
    assert (tmp_path / LOCK).read_text() == "17"
