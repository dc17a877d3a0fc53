"""Places where a test lets a run die, the disk be full or the memory run out."""

from __future__ import annotations

import errno
import os
import signal
from collections import Counter

VARIABLE = "SEG_FAILPOINT"
_passed: Counter[str] = Counter()


def failpoint(name: str) -> None:
    """Fail when this process comes by `name` for the time that the environment says, `SEG_FAILPOINT=NAME:COUNT`.

    The process kills itself, or with `NAME:COUNT:space` the disk is full, with `NAME:COUNT:memory` the memory. Without
    the variable nothing happens.
    """
    wanted = os.environ.get(VARIABLE)
    if not wanted:
        return
    where, count, *how = wanted.split(":")
    if where != name:
        return
    _passed[name] += 1
    if _passed[name] != int(count):
        return
    match how:
        case ["space"]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        case ["memory"]:
            raise MemoryError
        case _:
            os.kill(os.getpid(), signal.SIGKILL)
