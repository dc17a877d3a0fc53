"""The folder of a run: absent or complete. Work goes on in `OUT.work` and is renamed to `OUT` at the end."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit.errors import StorageError, UsageError
from toolkit.files.lock import LOCK, held

RECORD = "run.json"
DONE = "done.jsonl"
FINGERPRINT = "fingerprint.json"


@dataclass(frozen=True)
class Workspace:
    """`out` is where the result appears; `work` is where it is made, on the same disk."""

    out: Path

    @property
    def work(self) -> Path:
        return self.out.with_name(self.out.name + ".work")

    def done(self) -> dict[str, dict[str, Any]]:
        """What was finished before, by key, as far as its files are still there."""
        path = self.work / DONE
        lines = path.read_text(encoding="utf8").splitlines() if path.is_file() else []
        rows = {row["key"]: row for row in map(json.loads, lines)}
        return {key: row for key, row in rows.items() if all((self.work / name).exists() for name in row["files"])}

    def finish(self, key: str, row: dict[str, Any]) -> None:
        """Record that all of `row["files"]`, paths below `work`, are on disk."""
        with _writing(self.work):
            for name in row["files"]:
                _sync(self.work / name)
            with (self.work / DONE).open("a", encoding="utf8") as stream:
                stream.write(json.dumps({"key": key} | row) + "\n")
                stream.flush()
                os.fsync(stream.fileno())

    def publish(self, record: dict[str, Any]) -> None:
        """Write the run record and give the folder its name."""
        with _writing(self.work):
            _write(self.work / RECORD, json.dumps(record, indent=1, ensure_ascii=False))
            for name in (DONE, FINGERPRINT):
                (self.work / name).unlink(missing_ok=True)
            old = self.out.with_name(self.out.name + ".old")
            shutil.rmtree(old, ignore_errors=True)
            if self.out.exists():
                self.out.replace(old)
            self.work.replace(self.out)
            # Until now the lock told others to stay away; they find the output from here on.
            (self.out / LOCK).unlink()
            shutil.rmtree(old, ignore_errors=True)


def check(out: Path, overwrite: bool) -> None:
    """Raise `UsageError` if `out` exists and may not be overwritten, `StorageError` if its path is none."""
    with _writing(out):
        if not out.exists():
            return
        ours = (out / RECORD).is_file() or (out.is_dir() and not any(out.iterdir()))
    if not overwrite:
        raise UsageError("the output exists", out, "choose another -o, or say --overwrite")
    if not ours:
        raise UsageError("this is no output of a run, so it is not overwritten", out, "choose another -o")


@contextmanager
def opened(out: Path, fingerprint: dict[str, Any], resume: bool, overwrite: bool) -> Iterator[Workspace]:
    """A workspace for `out`, held by this process alone.

    Raises `UsageError` if `out` exists without `overwrite`, if it is no output of a run, or if a run that was begun
    with another `fingerprint` is to be resumed; `StorageError` if it cannot be written or another process holds it. If
    the work ends in an error and nothing was finished, nothing stays behind.
    """
    space = Workspace(out)
    check(out, overwrite)
    fingerprint = json.loads(json.dumps(fingerprint, default=str))
    with ExitStack() as stack:
        with _writing(space.work):
            space.work.mkdir(parents=True, exist_ok=True)
            stack.enter_context(held(space.work))
            stack.callback(_tidy, space.work)
            check(out, overwrite)  # another run may have ended while this one came to hold the folder
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


def _tidy(work: Path) -> None:
    """Leave nothing behind where nothing was finished."""
    if work.is_dir() and not (work / DONE).exists():
        shutil.rmtree(work, ignore_errors=True)


def _begin(space: Workspace, fingerprint: dict[str, Any], resume: bool) -> None:
    path = space.work / FINGERPRINT
    before = json.loads(path.read_text(encoding="utf8")) if path.is_file() else None
    kept = {space.work / LOCK}
    if resume and before is not None:
        changed = sorted(k for k in fingerprint if before.get(k) != fingerprint[k])
        if changed:
            raise UsageError(
                "the run to resume was begun with something else",
                ", ".join(changed),
                "run it as before, or anew without --resume",
            )
        _mend(space.work / DONE)
        kept |= {path, space.work / DONE, *(space.work / f for row in space.done().values() for f in row["files"])}
    _prune(space.work, kept, {parent for path in kept for parent in path.parents})
    _write(path, json.dumps(fingerprint))


def _prune(folder: Path, kept: set[Path], above: set[Path]) -> None:
    """Remove what is not kept and not above it, such as the half-written files of a killed process."""
    for entry in folder.iterdir():
        if entry in kept:
            continue
        if entry in above:
            _prune(entry, kept, above)
        elif entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _mend(path: Path) -> None:
    """Cut what a killed process left of a line, and all after it."""
    if not path.is_file():
        return
    whole = bytearray()
    for line in path.read_bytes().splitlines(keepends=True):
        try:
            row = json.loads(line) if line.endswith(b"\n") else None
        except ValueError:
            row = None
        if not isinstance(row, dict) or "key" not in row:
            break
        whole += line
    if len(whole) < path.stat().st_size:
        os.truncate(path, len(whole))


def _write(path: Path, text: str) -> None:
    """The whole file or none of it."""
    partial = path.with_name(path.name + ".partial")
    with partial.open("w", encoding="utf8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(path)


def _sync(path: Path) -> None:
    """Wait until a file, or all files of a folder, have reached the disk."""
    for entry in (*path.rglob("*"), path) if path.is_dir() else (path,):
        handle = os.open(entry, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
