"""Packages in folders named by their digest: complete and synced, or not there."""

from __future__ import annotations

import errno
import os
import re
import shutil
import sqlite3
import time
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

from toolkit.errors import ModelError, StorageError
from toolkit.files.whole import unlinked
from toolkit.registry.gate.archive import Files, open_package

DATABASE = "registry.sqlite"
STAGED = "seg-"
WRITERS = 16
"""Files that are written at once."""
STALE = 24 * 3600
"""Seconds after which a folder of an unfinished installation belongs to nobody."""
LOST = "put a copy of it back, or move it and the folder objects away and add each folder in there again"
"""What to do where packages are there and nobody knows their names."""
_PACKAGE = re.compile("[0-9a-f]{64}")
_STAGE = re.compile(STAGED + "[a-z0-9_]{8}")
_DOWNLOAD = re.compile(r"[0-9a-f]{32}(-\d+)*(\.part)?")


class Objects:
    """`HOME/objects/<sha256>/`, filled by way of `HOME/incoming/`."""

    def __init__(self, home: Path) -> None:
        self._home = home

    def folder(self, sha256: str) -> Path:
        """Where the package with this digest is, if it is."""
        return self._home / "objects" / sha256

    def any(self) -> bool:
        """Whether there is a package at all."""
        return any(_PACKAGE.fullmatch(path.name) for path in self.folder("").glob("*"))

    def own(self) -> None:
        """Refuse links among the folders that are written to and removed from; raises `UsageError`."""
        for name in ("objects", "incoming", "downloads"):
            unlinked(self._home / name, "put a folder there, or let SEG_HOME name a folder on the other disk")

    def checked(self, sha256: str, reference: str) -> Path:
        """The folder of a package, all of whose files were hashed again; `ModelError` if they are not the same."""
        path = self.folder(sha256)
        if not path.is_dir() or open_package(path).digest != sha256:
            raise ModelError("an installed model is damaged", f"{reference}: {path}",
                             f"seg models remove {reference}, seg models gc, and add it again")  # fmt: skip
        return path

    @contextmanager
    def staged(self, files: Files) -> Iterator[Path]:
        """A folder with a synced copy of the files, checked against their digest on the way; gone afterwards."""
        self.own()
        incoming = self._home / "incoming"
        incoming.mkdir(parents=True, exist_ok=True)
        stage = Path(mkdtemp(prefix=STAGED, dir=incoming))
        try:
            if not self.folder(files.digest).is_dir():
                copy(files, stage / "files")
            yield stage / "files"
        finally:
            shutil.rmtree(stage, ignore_errors=True)

    def place(self, stage: Path, files: Files) -> None:
        """Rename a staged package to its place, unless it is there. Only for who holds the registry's write lock."""
        target = self.folder(files.digest)
        if target.is_dir():
            return
        if not stage.is_dir():  # it was there when we looked, and somebody has swept it away since
            copy(files, stage)
        target.parent.mkdir(parents=True, exist_ok=True)
        stage.rename(target)
        sync(target.parent)

    def prune(self, used: Collection[str]) -> list[tuple[str, int]]:
        """Delete packages that are not in `used`, and what killed processes left: digests and bytes of the packages.

        Only for who holds the registry's write lock.
        """
        self.own()
        freed = []
        for path in sorted(self.folder("").glob("*")):
            # SEG_HOME may be a folder that holds other things as well.
            if _PACKAGE.fullmatch(path.name) and _is_folder(path) and path.name not in used:
                freed.append((path.name, sum(f.stat().st_size for f in path.rglob("*") if f.is_file())))
                shutil.rmtree(path)
        for left in (*(self._home / "incoming").glob("*"), *(self._home / "downloads").glob("*")):
            if time.time() - left.lstat().st_mtime < STALE:
                continue
            if _STAGE.fullmatch(left.name) and _is_folder(left):
                shutil.rmtree(left)
            elif _DOWNLOAD.fullmatch(left.name) and left.is_file():
                left.unlink()
        return freed


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def copy(files: Files, folder: Path) -> None:
    """Write the files of a package into a new folder, and sync it; each is checked against its hash."""
    folder.mkdir(parents=True)

    def write(name: str) -> None:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as stream:
            files.copy(name, stream)
            stream.flush()
            os.fsync(stream.fileno())

    # A disk takes many waiting files at once in hardly more time than one.
    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(write, files.hashes))
    for path in (folder, *(p for p in folder.rglob("*") if p.is_dir())):
        sync(path)


def sync(folder: Path) -> None:
    """Make the names in a folder survive a crash."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def disk(home: Path) -> Iterator[None]:
    """Turn what disk and database complain of into `StorageError`."""
    try:
        yield
    except sqlite3.Error as error:
        if type(error) is sqlite3.DatabaseError:  # its kinds are for what is no damage: locks, full disks
            said = " ".join(str(error).split())
            raise StorageError("the registry of the installed models is damaged", f"{home / DATABASE} ({said})",
                               LOST) from error  # fmt: skip
        raise StorageError("the registry cannot be used", f"{home} ({error})",
                           "is the disk full, or another SEG_HOME meant?") from error  # fmt: skip
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageError("the disk is full", home, "free space, or set SEG_HOME") from error
        raise StorageError("the registry cannot be written", f"{home} ({error})",
                           "set SEG_HOME to a folder of yours") from error  # fmt: skip
