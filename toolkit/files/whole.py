"""Files and folders that appear whole or not at all: made under a name of their own, then renamed."""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from toolkit.errors import StorageError, UsageError

NEAR = 4096
"""Bytes of a file that say what made it."""
_DRAFT = re.compile(r"\.seg-[0-9a-f]{16}\.partial")


def draft() -> str:
    """A name beside an output that nobody else has."""
    return f".seg-{secrets.token_hex(8)}.partial"


def replaceable(path: Path) -> None:
    """Refuse to write where a link, a folder or a device stands; raises `UsageError`."""
    if path.is_symlink():
        raise UsageError("a link is not written over", path, "move it away, or name the file that it points to")
    if path.exists() and not path.is_file():
        raise UsageError("this is no file, so it is not written over", path, "move it away, or choose another")


def unlinked(folder: Path, do: str = "move it away") -> None:
    """Refuse to write into a folder that is a link: what lies there is elsewhere. Raises `UsageError`."""
    if folder.is_symlink():
        raise UsageError("a link is not written through", folder, do)


def ours(path: Path, mark: str) -> None:
    """Refuse like `replaceable`, and where a file stands that does not say near its beginning, by `mark`, that such a
    command made it; an empty one is nobody's."""
    replaceable(path)
    if path.exists():
        with path.open("rb") as there:
            begin = there.read(NEAR)
        if begin and mark.encode() not in begin:
            raise UsageError(
                "this was made by something else, so it is not written over", path, "move it away, or choose another"
            )


@contextmanager
def file(path: Path, lasting: bool = True) -> Iterator[Path]:
    """An empty file to write to, which is synced and becomes `path` if the context ends well, and else is gone.

    Not `lasting`: it is not synced, so a crash of the machine, not of the process, may take or spoil it. Raises
    `UsageError` if a link, a folder or a device is at `path`; an older file is replaced.
    """
    replaceable(path)
    made = path.with_name(draft())
    os.close(os.open(made, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    try:
        yield made
        if lasting:
            sync(made)
        made.replace(path)
    except BaseException:
        made.unlink(missing_ok=True)
        raise
    if lasting:
        sync(path.parent)


@contextmanager
def folder(path: Path) -> Iterator[Path]:
    """A new folder to fill, which becomes `path` if the context ends well, and else is gone.

    Raises `StorageError` if no folder can be made there, or something has come to be at `path`: nothing is ever
    replaced.
    """
    made = path.with_name(draft())
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        made.mkdir()
    except OSError as error:
        raise StorageError(
            "no folder can be made here", f"{path.parent} ({error.strerror})", "choose another"
        ) from error
    try:
        yield made
        try:
            made.rename(path)
        except OSError as error:
            raise StorageError(
                "the output cannot get its name", f"{path} ({error.strerror})", "choose another"
            ) from error
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise
    sync(path.parent)


def text(path: Path, content: str) -> None:
    """Write a file in UTF-8, as `file` does."""
    with file(path) as made:
        made.write_text(content, encoding="utf8")


def prune(where: Path) -> None:
    """Remove the drafts that killed processes left in a folder. Only for who holds it alone."""
    for path in where.iterdir():
        if _DRAFT.fullmatch(path.name) and path.is_file() and not path.is_symlink():
            path.unlink()


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, have reached the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
