"""Bytes of small files that somebody else may have made: never a pipe that gives none, or a device that never ends."""

from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path
from typing import Any

MOST = 2**26


def read(path: Path, most: int = MOST) -> bytes:
    """All bytes of a file; raises `OSError` if it is none, is no plain file, or has more than `most`."""
    # A pipe without a writer would not even open.
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as stream:  # noqa: PTH123
        about = os.fstat(stream.fileno())
        if stat.S_ISDIR(about.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(about.st_mode):
            raise OSError(errno.EINVAL, "it is a pipe or a device", str(path))
        data = stream.read(most + 1)
    if len(data) > most:
        raise OSError(errno.EFBIG, f"it has more than {most >> 20} MB", str(path))
    return data


def read_json(path: Path, most: int = MOST) -> Any:
    """What a JSON file holds; raises `OSError` as `read`, `ValueError` for what is no JSON."""
    try:
        return json.loads(read(path, most).decode("utf8"))
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
