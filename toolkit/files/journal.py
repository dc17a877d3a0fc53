"""Rows of JSON that are only ever appended, each with its own digest: what was done, as far as it was written whole."""

from __future__ import annotations

import json
import os
import time
from hashlib import sha256
from pathlib import Path
from typing import Any

from toolkit.files.failpoint import failpoint


class Journal:
    """A file of rows. A row that `add` returned from outlives the process; one that is a second old, the machine."""

    PAUSE = 1.0
    """Seconds between two waits for the disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._synced = 0.0

    def rows(self) -> list[Any]:
        """All rows up to the first that is torn or damaged."""
        return _sound(self.path)[0]

    def mend(self) -> None:
        """Cut what a killed process left of a line, and all after it."""
        whole = _sound(self.path)[1]
        if self.path.is_file() and whole < self.path.stat().st_size:
            os.truncate(self.path, whole)

    def add(self, row: Any, now: bool = False) -> None:
        """Append a row; with `now` it has reached the disk."""
        line = signed(row).encode()
        failpoint("journal.before")
        with self.path.open("ab", buffering=0) as stream:
            stream.write(line[:-1])
            failpoint("journal.torn")
            stream.write(line[-1:])
            if now or time.monotonic() - self._synced > self.PAUSE:
                os.fsync(stream.fileno())
                self._synced = time.monotonic()
        failpoint("journal.after")


def signed(row: Any) -> str:
    """A row as a line that ends in its own sha256."""
    text = json.dumps(row)
    return f"{text} {sha256(text.encode()).hexdigest()}\n"


def row_of(line: bytes) -> Any:
    """The row of a line; None if it is not as it was written."""
    text, _, digest = line.strip().rpartition(b" ")
    try:
        return json.loads(text) if sha256(text).hexdigest().encode() == digest else None
    except (ValueError, RecursionError):  # somebody signed what is no row
        return None


def _sound(path: Path) -> tuple[list[Any], int]:
    """The rows before the first line that is torn or damaged, and how many bytes they take."""
    rows: list[Any] = []
    size = 0
    if not path.is_file():
        return rows, size
    for line in path.read_bytes().splitlines(keepends=True):
        row = row_of(line) if line.endswith(b"\n") else None
        if row is None:
            break
        rows.append(row)
        size += len(line)
    return rows, size
