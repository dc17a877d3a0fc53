"""One process at a time works in a folder. The lock is gone with the process that holds it, however that ends."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from toolkit.errors import StorageError, UsageError

LOCK = ".lock"


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold `folder`, which exists, until the context ends; it may be renamed meanwhile.

    Raises `StorageError` with the number of the process that holds it already, `UsageError` if that is no lock.
    """
    path = folder / LOCK
    handle = _taken(path)
    inode = os.fstat(handle).st_ino
    try:
        os.ftruncate(handle, 0)
        os.write(handle, str(os.getpid()).encode())
        yield
    finally:
        if _inode(path) == inode:
            path.unlink()
        os.close(handle)


def _taken(path: Path) -> int:
    """The lock file, open and locked."""
    import fcntl

    while True:
        handle = os.open(path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(handle, 32).decode("ascii", "replace")
            os.close(handle)
            raise StorageError(
                "another run writes to this output",
                f"{path.parent}, process {holder or 'unknown'}",
                "wait for it, or choose another -o",
            ) from error
        # Whoever held it last may have removed the file between our opening and locking it.
        if _inode(path) == os.fstat(handle).st_ino:
            if not re.fullmatch(rb"\d*", os.read(handle, 32)):
                os.close(handle)
                raise UsageError("this is no lock of ours", path, "move it away, or choose another -o")
            os.lseek(handle, 0, os.SEEK_SET)
            return handle
        os.close(handle)


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return None
