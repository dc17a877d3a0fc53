from __future__ import annotations

import os
from pathlib import Path

import pytest

from toolkit.files import bounded


def test_a_file_is_read_as_it_is_and_no_further_than_it_may_be(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"x" * 1000)
    assert bounded.read(path, 1000) == b"x" * 1000
    with pytest.raises(OSError, match="more than"):
        bounded.read(path, 999)


def test_pipes_devices_and_folders_are_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path(os.devnull), Path("/dev/zero")):
        with pytest.raises(OSError, match="a pipe or a device"):
            bounded.read(path)
    with pytest.raises(IsADirectoryError):
        bounded.read(tmp_path)
    with pytest.raises(FileNotFoundError):
        bounded.read(tmp_path / "absent")


@pytest.mark.parametrize("text", [b"", b"{", b"[" * 10**6, b"\xff", b"{}x"])
def test_what_is_no_json_is_a_value_error(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "a").write_bytes(text)
    with pytest.raises(ValueError, match=r"\w"):
        bounded.read_json(tmp_path / "a")
