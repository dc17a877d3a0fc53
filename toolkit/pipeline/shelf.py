"""What is done of one image, on disk: files, and the journal that says which of them are whole."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from toolkit.errors import StorageError
from toolkit.files import arrays
from toolkit.files.journal import Journal
from toolkit.gpu.memory import amount

JOURNAL = "journal"
T = TypeVar("T")


@dataclass(frozen=True)
class Part:
    """A file in the folder of a shelf."""

    file: str
    sha256: str


class Shelf:
    """The folder of the parts of an image: rows `[image, stage, file, sha256]`.

    A part that has a row, and a file of that digest, is done; nothing else is believed. `journal` is the file that
    this process writes, all files of that name, with any suffix, are read. The folder is made by the first part.
    """

    def __init__(self, folder: Path, image: str, journal: str = JOURNAL) -> None:
        self.folder = folder
        self.image = image
        self._journal = Journal(folder / journal)
        if journal != JOURNAL:
            self._journal.mend()  # nobody else writes there
        self._rows: dict[tuple[str, str], str] = {}
        self._sound: dict[str, dict[str, str]] = {}
        for path in sorted(folder.glob(f"{JOURNAL}*")):
            self._rows |= {(stage, file): sha256 for _, stage, file, sha256 in Journal(path).rows()}

    def __len__(self) -> int:
        return len(self._rows)

    def tidy(self) -> None:
        """Mend the journals and remove what has no row. Only for who holds the run alone."""
        known = {file for _, file in self._rows}
        for path in self.folder.glob("*"):
            if path.name.startswith(JOURNAL):
                Journal(path).mend()
            elif path.name not in known and (path.is_symlink() or path.is_file()):
                path.unlink()

    def known(self, stage: str) -> dict[str, str]:
        """File → sha256 of the parts of a stage; their digests are compared when this is first asked."""
        if stage not in self._sound:
            mine = {file: sha256 for (s, file), sha256 in self._rows.items() if s == stage}
            self._sound[stage] = {file: sha256 for file, sha256 in mine.items() if _whole(self.folder / file, sha256)}
        return self._sound[stage]

    def add(self, stage: str, file: str, sha256: str) -> None:
        """A part is done."""
        self.known(stage)[file] = sha256
        self._rows[stage, file] = sha256
        with writing(self.folder):
            self._journal.add([self.image, stage, file, sha256])

    def save(self, stage: str, value: Any, file: str = "") -> None:
        """Write a dataclass of arrays as a part of a stage, by default all that there is of it."""
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            self.add(stage, file or stage, arrays.write(self.folder / (file or stage), value))

    def load(self, stage: str, cls: type[T], file: str = "") -> T | None:
        """What was saved, or None."""
        there = (file or stage) in self.known(stage)
        return arrays.read(self.folder / (file or stage), cls) if there else None

    def part(self, stage: str, file: str) -> Part:
        """A part that is done."""
        return Part(file, self._rows[stage, file])


def read(folder: Path, cls: type[T], part: Part) -> T:
    """A part that is done; raises `StorageError` if it is no longer what it was."""
    path = folder / part.file
    try:
        if not _whole(path, part.sha256):
            raise StorageError("what was done of a block is damaged or gone", path, "run again with --resume")
        return arrays.read(path, cls)
    except OSError as error:
        raise StorageError("what was done of a block is unreadable", path, "run again with --resume") from error


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Raise `StorageError` if what is done cannot be kept in `folder`."""
    try:
        yield
    except OSError as error:
        there = next(p for p in (folder, *folder.parents) if p.exists())
        raise StorageError(
            "cannot keep what is done",
            f"{folder} ({error.strerror or error})",
            f"{amount(shutil.disk_usage(there).free / 2**30)} are free there: free space, or choose another --work",
        ) from error


def _whole(path: Path, sha256: str) -> bool:
    if not path.is_file() or path.is_symlink():
        return False
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest() == sha256
