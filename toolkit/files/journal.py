"""Rows of JSON that are only ever appended: what was done, as far as it was written whole."""

from __future__ import annotations

import json
import os
import time
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
        """All rows up to the first that is torn."""
        return _sound(self.path)[0]

    def mend(self) -> None:
        """Cut what a killed process left of a line, and all after it."""
        whole = _sound(self.path)[1]
        if self.path.is_file() and whole < self.path.stat().st_size:
            os.truncate(self.path, whole)

    def add(self, row: Any, now: bool = False) -> None:
        """Append a row; with `now` it has reached the disk."""
        line = (json.dumps(row) + "\n").encode()
        failpoint("journal.before")
        with self.path.open("ab", buffering=0) as stream:
            stream.write(line[:-1])
            failpoint("journal.torn")
            stream.write(line[-1:])
            if now or time.monotonic() - self._synced > self.PAUSE:
                os.fsync(stream.fileno())
                self._synced = time.monotonic()
        failpoint("journal.after")


def _sound(path: Path) -> tuple[list[Any], int]:
    """The rows before the first torn line, and how many bytes they take."""
    rows: list[Any] = []
    size = 0
    if not path.is_file():
        return rows, size
    for line in path.read_bytes().splitlines(keepends=True):
        try:
            row = json.loads(line) if line.endswith(b"\n") else None
        except ValueError:
            row = None
        if not isinstance(row, dict | list):
            break
        rows.append(row)
        size += len(line)
    return rows, size
