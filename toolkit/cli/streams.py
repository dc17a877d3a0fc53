"""Where the program speaks: what a stream has no letters for is an escape, and that nobody reads it stops nothing."""

from __future__ import annotations

import errno
import io
import os
import shutil
import sys
from typing import Any

NARROW = 40
"""Columns below which a text is broken by the terminal rather than by us: nothing would be left of it."""


class Patient(io.FileIO):
    """A stream whose reader may go: what is written to it after that is lost. Anything else that is wrong with it is
    said once, by the `OSError` that it is."""

    def __init__(self, handle: int) -> None:
        super().__init__(handle, "w", closefd=False)
        self._gone = {errno.EPIPE, errno.EIO} if self.isatty() else {errno.EPIPE}
        self._told = False

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError as error:
            if error.errno not in self._gone and not self._told:
                self._told = True
                raise
            return memoryview(data).nbytes


def prepare() -> None:
    """Make both streams of this process so, and no text narrower than `NARROW`."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # it was closed before the program began
            setattr(sys, name, open(os.devnull, "w", encoding="utf8"))  # noqa: PTH123, SIM115
            continue
        stream.flush()
        patient = io.TextIOWrapper(
            io.BufferedWriter(Patient(stream.fileno())),
            encoding=stream.encoding,
            errors="backslashreplace",
            line_buffering=stream.line_buffering,
            write_through=stream.write_through,
        )
        setattr(sys, name, patient)
    said = os.environ.get("COLUMNS", "")
    if (int(said) if said.isdecimal() else shutil.get_terminal_size().columns) < NARROW:
        os.environ["COLUMNS"] = str(NARROW)
