"""Where the program speaks: what a stream has no letters for is an escape, and that nobody reads it stops nothing."""

from __future__ import annotations

import errno
import io
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any

NARROW = 40
"""Columns below which a text is broken by the terminal rather than by us: nothing would be left of it."""

STDOUT = 1
"""The number of standard output."""


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


_ANSWERS: list[Any] = []
"""Standard output, while it is reserved."""


def answers() -> Any:
    """Where the document of a verb goes."""
    return _ANSWERS[-1] if _ANSWERS else sys.stdout


@contextmanager
def reserved() -> Iterator[None]:
    """Whatever is printed meanwhile goes to stderr, by plugins, compiled code and other processes, too; standard output
    gets what is written to `answers()`."""
    own, handle = sys.stdout, None
    try:
        if own.fileno() == STDOUT:
            own.flush()
            handle = os.dup(STDOUT)
            os.dup2(sys.stderr.fileno(), STDOUT)
    except (OSError, ValueError):  # a stream that is none of the system
        handle = None
    screen = own if handle is None else _patient(own, handle)
    _ANSWERS.append(screen)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        _ANSWERS.pop()
        try:
            screen.flush()
        finally:
            if handle is not None:
                os.dup2(handle, STDOUT)
                os.close(handle)


def _patient(stream: Any, handle: int) -> Any:
    return io.TextIOWrapper(
        io.BufferedWriter(Patient(handle)),
        encoding=stream.encoding,
        errors="backslashreplace",
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def prepare() -> None:
    """Make both streams of this process so, and no text narrower than `NARROW`."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # it was closed before the program began
            setattr(sys, name, open(os.devnull, "w", encoding="utf8"))  # noqa: PTH123, SIM115
            continue
        stream.flush()
        setattr(sys, name, _patient(stream, stream.fileno()))
    said = os.environ.get("COLUMNS", "")
    if (int(said) if said.isdecimal() else shutil.get_terminal_size().columns) < NARROW:
        os.environ["COLUMNS"] = str(NARROW)
