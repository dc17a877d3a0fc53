"""The folder of a run: absent or complete. Work goes on in `OUT.work` and what was made is renamed to `OUT` at the end.

`OUT.work` holds a mark that only runs write, the journal, `result`, and for a moment `former`, the output that is
replaced. What is not marked is somebody's own and is never touched. Wherever a process dies, the next one finds either
`OUT`, or `former` and puts it back.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from toolkit.errors import InputError, StorageError, UsageError
from toolkit.files import whole
from toolkit.files.lock import LOCK, held
from toolkit.running.trespass import MARK, RECORD, marked, only_marked, only_written

DONE = "done.txt"
FINGERPRINT = "fingerprint.txt"
RESULT = "result"
FORMER = "former"


@dataclass(frozen=True)
class Workspace:
    """`out` is where the result appears; `work` is where it is made, in `folder` on the same disk."""

    out: Path
    overwrite: bool = False

    @property
    def folder(self) -> Path:
        return self.out.with_name(self.out.name + ".work")

    @property
    def work(self) -> Path:
        return self.folder / RESULT

    @property
    def former(self) -> Path:
        return self.folder / FORMER

    def done(self) -> dict[str, dict[str, Any]]:
        """What was finished before, by key, as far as its files are still there, and there themselves, not as links."""
        path = self.folder / DONE
        lines = path.read_bytes().splitlines() if path.is_file() else []
        rows = {row["key"]: row for row in map(_row, lines) if row}
        here = self.work.resolve()
        return {
            key: row
            for key, row in rows.items()
            if all((self.work / f).exists() and (self.work / f).resolve() == here / f for f in row["files"])
        }

    def finish(self, key: str, row: dict[str, Any]) -> None:
        """Record that all of `row["files"]`, paths below `work`, are on disk."""
        with _writing(self.folder):
            for name in row["files"]:
                _sync(self.work / name)
            with (self.folder / DONE).open("a", encoding="utf8") as stream:
                stream.write(_line({"key": key} | row))
                stream.flush()
                os.fsync(stream.fileno())

    def publish(self, record: dict[str, Any]) -> None:
        """Write the run record and give the result its name; only then the journal is forgotten.

        Raises `UsageError` if something has come to be at `out` that may not be replaced; the work is kept.
        """
        with _writing(self.folder):
            whole.text(self.work / RECORD, json.dumps(record, indent=1, ensure_ascii=False))
            writable(self.out, self.overwrite)
            if self.out.exists():
                self.out.rename(self.former)
            try:
                self.work.rename(self.out)
            except OSError:
                if self.former.exists():
                    self.former.rename(self.out)
                raise
            whole.sync(self.out.parent)
            (self.folder / DONE).unlink(missing_ok=True)


def writable(out: Path, overwrite: bool) -> None:
    """Raise `UsageError` if a run may not write `out` or work beside it, `StorageError` if its path is none.

    With `overwrite`, the output of a run is replaced if the run wrote every file in it.
    """
    if out.name in ("", ".."):
        raise UsageError("this is no name of a new folder", out, "choose another -o")
    with _writing(out):
        if out.is_symlink():
            raise UsageError("the output is a link", out, "choose another -o, or the folder that it points to")
        if out.exists():
            if not overwrite:
                raise UsageError("the output exists", out, "choose another -o, or say --overwrite")
            only_written(out)
        only_marked(Workspace(out).folder)


@contextmanager
def opened(out: Path, fingerprint: dict[str, Any], resume: bool, overwrite: bool) -> Iterator[Workspace]:
    """A workspace for `out`, held by this process alone.

    Raises `UsageError` if `out` exists without `overwrite`, if not all in it is of a run, if `OUT.work` is somebody's
    own, or if a run that was begun with another `fingerprint` is to be resumed; `StorageError` if it cannot be written
    or another process holds it. If the work ends in an error and nothing was finished, nothing stays behind.
    """
    space = Workspace(out, overwrite)
    writable(out, overwrite)
    fingerprint = json.loads(json.dumps(fingerprint, default=str))
    with ExitStack() as stack:
        with _writing(space.folder):
            space.folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(held(space.folder))
            marked(space.folder)
            stack.callback(_tidy, space)
            _restore(space)
            writable(out, overwrite)  # another run may have ended while this one came to hold the folder
            _begin(space, fingerprint, resume)
        yield space


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(
            "cannot write the output", f"{folder} ({error.strerror or error})", "free space, or choose another -o"
        ) from error


def _tidy(space: Workspace) -> None:
    """Leave nothing behind where nothing was finished, or all is published."""
    if (space.folder / DONE).exists() or (space.former.exists() and space.work.exists()):
        return
    with suppress(OSError):
        _clear(space, {space.folder / LOCK, space.folder / MARK})
        for name in (MARK, LOCK):
            (space.folder / name).unlink(missing_ok=True)
        space.folder.rmdir()


def _restore(space: Workspace) -> None:
    """Put the former output back, if a process died before the new one had its name."""
    if not space.former.exists():
        return
    if not os.path.lexists(space.out):
        space.former.rename(space.out)
    elif space.work.exists():
        raise UsageError("a former output waits", space.former, f"move it, or {space.out}, away")


def _begin(space: Workspace, fingerprint: dict[str, Any], resume: bool) -> None:
    path = space.folder / FINGERPRINT
    kept = {space.folder / LOCK, space.folder / MARK}
    if resume and path.is_file():
        before = _row(path.read_bytes())
        if before is None:
            raise InputError("what is known of the run to resume is damaged", path, "run it anew without --resume")
        changed = sorted(k for k in fingerprint if before.get(k) != fingerprint[k])
        if changed:
            raise UsageError(
                "the run to resume was begun with something else",
                ", ".join(changed),
                "run it as before, or anew without --resume",
            )
        _mend(space.folder / DONE)
        kept |= {path, space.folder / DONE, *(space.work / f for row in space.done().values() for f in row["files"])}
    _clear(space, kept)
    space.work.mkdir(exist_ok=True)
    whole.text(path, _line(fingerprint))


def _clear(space: Workspace, kept: set[Path]) -> None:
    """Remove all but `kept` from the work folder."""
    if space.former.exists():
        # Under its name the former output is complete, or not there.
        space.former.rename(space.folder / whole.draft())
    _prune(space.folder, kept, {parent for path in kept for parent in path.parents})


def _prune(folder: Path, kept: set[Path], above: set[Path]) -> None:
    """Remove what is not kept and not above it, such as the half-written files of a killed process."""
    for entry in folder.iterdir():
        if entry in kept:
            continue
        if entry.is_symlink() or not entry.is_dir():
            entry.unlink()
        elif entry in above:
            _prune(entry, kept, above)
        else:
            shutil.rmtree(entry)


def _mend(path: Path) -> None:
    """Cut what a killed process left of a line, and all after it."""
    if not path.is_file():
        return
    whole = bytearray()
    for line in path.read_bytes().splitlines(keepends=True):
        if not line.endswith(b"\n") or _row(line) is None:
            break
        whole += line
    if len(whole) < path.stat().st_size:
        os.truncate(path, len(whole))


def _line(row: dict[str, Any]) -> str:
    """A row as a line that ends in its own sha256."""
    text = json.dumps(row)
    return f"{text} {sha256(text.encode()).hexdigest()}\n"


def _row(line: bytes) -> dict[str, Any] | None:
    """The row of a line; None if it is not as it was written."""
    text, _, digest = line.strip().rpartition(b" ")
    return dict(json.loads(text)) if sha256(text).hexdigest().encode() == digest else None


def _sync(path: Path) -> None:
    """Wait until a file, or all files of a folder, have reached the disk."""
    for entry in (*path.rglob("*"), path) if path.is_dir() else (path,):
        whole.sync(entry)
