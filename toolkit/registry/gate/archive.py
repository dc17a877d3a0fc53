"""Files of a model package, from a zip or a folder: listed, hashed and read, never written anywhere."""

from __future__ import annotations

import hashlib
import os
import stat
import unicodedata
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import IO

from toolkit.errors import InputError, ModelError
from toolkit.registry.gate import refusing

MOST_BYTES = 4 * 2**30
MOST_FILES = 10_000
RATIO = 200
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

    def _hash(self, name: str) -> str:
        sha256 = hashlib.sha256()
        with refusing(UNREADABLE, f"{self.where}: {name}"), self._open(name) as stream:
            while chunk := stream.read(SMALL):
                sha256.update(chunk)
        return sha256.hexdigest()


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
        _check_totals(root, sizes)
    _check_names(root, sizes)
    return Files(root, sizes, lambda name: (root / name).open("rb"))


def _zip(path: Path) -> Files:
    with refusing("this is not a readable zip archive", path), zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    entries = [entry for entry in members if not entry.is_dir()]
    _check_names(path, (entry.filename for entry in entries))
    for entry in entries:
        _check_entry(path, entry)
    _check_apart(path, members, path.stat().st_size)
    sizes = {entry.filename: entry.file_size for entry in entries}
    _check_totals(path, sizes)

    @contextmanager
    def member(name: str) -> Iterator[IO[bytes]]:
        with zipfile.ZipFile(path) as archive, archive.open(name) as stream:
            yield stream

    return Files(path, sizes, member)


def _check_names(where: Path, names: Iterable[str]) -> None:
    seen: dict[str, str] = {}
    for name in names:
        _check_name(where, name)
        # Two names that one file system may take for one file: the second would silently replace the first.
        key = unicodedata.normalize("NFC", name).casefold()
        if key in seen:
            raise ModelError("the package has two files of one name", f"{where}: {seen[key]!r} and {name!r}",
                             "get the model from another source")  # fmt: skip
        seen[key] = name


def _check_name(where: Path, name: str) -> None:
    path = PurePosixPath(name)
    odd = "\\" in name or ":" in name or any(ord(letter) < 32 for letter in name)
    if odd or not name or path.is_absolute() or ".." in path.parts or path.as_posix() != name:
        raise ModelError("the package has a file name that is refused", f"{where}: {name!r}",
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
