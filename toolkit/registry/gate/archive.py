"""Files of a model package, from a zip or a folder: listed, hashed and read, never written anywhere."""

from __future__ import annotations

import hashlib
import os
import stat
import unicodedata
import zipfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import IO

from toolkit.errors import InputError, ModelError
from toolkit.registry.gate import refusing

MOST_BYTES = 4 * 2**30
MOST_FILES = 10_000
RATIO = 200
LONGEST_NAME, LONGEST_PART = 1000, 255
"""Letters of a file's path in the package, and bytes of a part of it, that any file system takes."""
SMALL = 2**20
"""Members up to this size may be compressed as well as they like."""
UNREADABLE = "a file of the package cannot be read"
_PLAIN = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 1


@dataclass(frozen=True, eq=False)
class Files:
    """The files of one package. `sizes` holds the bytes of each by its name, a relative POSIX path."""

    where: Path
    sizes: Mapping[str, int]
    _open: Callable[[str], AbstractContextManager[IO[bytes]]]

    def __contains__(self, name: str) -> bool:
        return name in self.sizes

    def only(self, names: Iterable[str]) -> Files:
        """The package of just these of its files."""
        return Files(self.where, {name: self.sizes[name] for name in names}, self._open)

    @cached_property
    def hashes(self) -> dict[str, str]:
        """sha256 of every file, by name in sorted order."""
        return {name: self._hash(name) for name in sorted(self.sizes)}

    @cached_property
    def digest(self) -> str:
        """sha256 of the package: of all names and hashes, so a zip and a folder of the same files have the same."""
        return digest(self.hashes)

    def read(self, name: str, sha256: str | None = None) -> bytes:
        """The bytes of a file.

        Raises `ModelError` if it is absent, if it changed since it was hashed, or if it is not what `sha256` says.
        """
        if name not in self.sizes:
            raise ModelError("the package lacks a file that it names", f"{self.where}: {name}",
                             "get the whole package again")  # fmt: skip
        with refusing(UNREADABLE, f"{self.where}: {name}"), self._open(name) as stream:
            data = stream.read()
        found = hashlib.sha256(data).hexdigest()
        for expected in (sha256, self.hashes[name]):
            if expected is not None and found != expected.lower():
                raise ModelError("a file is not what its sha256 says", f"{self.where}: {name}", "get the model again")
        return data

    def copy(self, name: str, target: IO[bytes]) -> None:
        """Write a file to a stream; raises `ModelError` if it changed since it was hashed."""
        if self._hash(name, target.write) != self.hashes[name]:
            raise ModelError("a file is not what its sha256 says", f"{self.where}: {name}", "get the model again")

    def _hash(self, name: str, also: Callable[[bytes], object] = lambda _: None) -> str:
        sha256 = hashlib.sha256()
        with ExitStack() as stack:
            with refusing(UNREADABLE, f"{self.where}: {name}"):
                stream = stack.enter_context(self._open(name))
            while chunk := self._chunk(stream, name):
                sha256.update(chunk)
                also(chunk)
        return sha256.hexdigest()

    def _chunk(self, stream: IO[bytes], name: str) -> bytes:
        with refusing(UNREADABLE, f"{self.where}: {name}"):
            return stream.read(SMALL)


def digest(hashes: Mapping[str, str]) -> str:
    """The sha256 of a package, given that of each of its files."""
    lines = "".join(f"{sha256}  {name}\n" for name, sha256 in sorted(hashes.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def open_package(path: Path) -> Files:
    """The files of a zip or a folder, after every name and size has been found harmless.

    Raises `InputError` if there is no such path, `ModelError` if anything about it is refused.
    """
    if path.is_dir():
        return _folder(path)
    if not path.is_file():
        raise InputError("no such model package", path, "check the path")
    return _zip(path)


def _folder(root: Path) -> Files:
    sizes: dict[str, int] = {}
    for folder, folders, names in os.walk(root):
        for name in (*folders, *names):
            path = Path(folder) / name
            status = path.lstat()
            if stat.S_ISREG(status.st_mode):
                sizes[path.relative_to(root).as_posix()] = status.st_size
            elif not stat.S_ISDIR(status.st_mode):
                raise ModelError("a model folder may hold only plain files", path, "replace the link by its file")
        if len(sizes) > MOST_FILES:
            break
    _check_totals(root, sizes)
    _check_names(root, sizes)
    return Files(root, sizes, lambda name: (root / name).open("rb"))


def _zip(path: Path) -> Files:
    with refusing("this is not a readable zip archive", path):
        archive = _Bounded(path)
    members = archive.infolist()
    entries = [entry for entry in members if not entry.is_dir()]
    _check_names(path, (entry.filename for entry in entries))
    for entry in entries:
        _check_entry(path, entry)
    _check_apart(path, members, path.stat().st_size)
    sizes = {entry.filename: entry.file_size for entry in entries}
    _check_totals(path, sizes)
    # Open until the package is gone: opening it anew for each of many files reads the list of all of them each time.
    return Files(path, sizes, archive.open)


class _AtMost(list[zipfile.ZipInfo]):
    def append(self, entry: zipfile.ZipInfo) -> None:
        if len(self) > MOST_FILES:
            raise ValueError("it has too many files")
        super().append(entry)


class _Bounded(zipfile.ZipFile):
    """An archive whose list of members is read only as far as a package's may be."""

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, _AtMost() if name == "filelist" else value)


def _check_names(where: Path, names: Iterable[str]) -> None:
    seen: dict[str, str] = {}
    above: set[str] = set()
    for name in names:
        _check_name(where, name)
        above.update(_key(str(folder)) for folder in PurePosixPath(name).parents)
        # Two names that one file system may take for one file: the second would silently replace the first.
        key = _key(name)
        if key in seen:
            raise ModelError("the package has two files of one name", f"{where}: {seen[key]!r} and {name!r}",
                             "get the model from another source")  # fmt: skip
        seen[key] = name
    if both := sorted(seen.keys() & above):
        raise ModelError("the package has a file and a folder of one name", f"{where}: {seen[both[0]]!r}",
                         "get the model from another source")  # fmt: skip


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _check_name(where: Path, name: str) -> None:
    path = PurePosixPath(name)
    # Printable: no control characters, no marks that turn the direction of text, nothing that is not Unicode.
    odd = "\\" in name or ":" in name or not name.isprintable()
    long = len(name) > LONGEST_NAME or any(len(os.fsencode(part)) > LONGEST_PART for part in path.parts)
    if odd or long or not path.parts or path.is_absolute() or ".." in path.parts or path.as_posix() != name:
        shown = name if len(name) < 80 else f"{name[:80]}…"
        raise ModelError("the package has a file name that is refused", f"{where}: {shown!r}",
                         "names must be plain paths inside the package")  # fmt: skip


def _check_entry(where: Path, entry: zipfile.ZipInfo) -> None:
    place, do = f"{where}: {entry.filename}", "get the model from another source"
    if entry.flag_bits & _ENCRYPTED:
        raise ModelError("the package is encrypted", place, do)
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        raise ModelError("the package holds a link or a special file", place, do)
    if entry.compress_type not in _PLAIN:
        raise ModelError("the package is compressed in a way that is not supported", place, "zip it with deflate")
    if entry.file_size > SMALL and entry.file_size > RATIO * max(1, entry.compress_size):
        raise ModelError("a file of the package unpacks to far more than it should", place, do)


def _check_apart(where: Path, entries: list[zipfile.ZipInfo], size: int) -> None:
    """Members that share bytes are a bomb whose every ratio looks harmless."""
    end = 0
    for entry in sorted(entries, key=lambda e: e.header_offset):
        if entry.header_offset < end or entry.header_offset + entry.compress_size > size:
            raise ModelError("files of the package overlap inside the archive", f"{where}: {entry.filename}",
                             "get the model from another source")  # fmt: skip
        end = entry.header_offset + entry.compress_size


def _check_totals(where: Path, sizes: Mapping[str, int]) -> None:
    if len(sizes) > MOST_FILES or sum(sizes.values()) > MOST_BYTES:
        raise ModelError("this is too large for a model package", f"{where}: more than {MOST_FILES} files or 4 GB",
                         "is it the right path?")  # fmt: skip
