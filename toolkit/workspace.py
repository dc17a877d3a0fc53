"""The folder of a run: absent or complete. Work goes on in `OUT.work` and is renamed to `OUT` at the end."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit.errors import StorageError, UsageError

RECORD = "run.json"
DONE = "done.jsonl"
LOCK = "lock"


@dataclass(frozen=True)
class Workspace:
    """`out` is where the result appears; `work` is where it is made, on the same disk."""

    out: Path

    @property
    def work(self) -> Path:
        return self.out.with_name(self.out.name + ".work")

    def done(self) -> dict[str, dict[str, Any]]:
        """Results that were finished before, by key; a torn last line is ignored."""
        path = self.work / DONE
        lines = path.read_text(encoding="utf8").splitlines() if path.is_file() else []
        rows = {}
        for line in lines:
            try:
                row = json.loads(line)
            except ValueError:
                break
            rows[row["key"]] = row
        return rows

    def finish(self, key: str, row: dict[str, Any]) -> None:
        """Record that everything of `key` is on disk."""
        with (self.work / DONE).open("a", encoding="utf8") as stream:
            stream.write(json.dumps({"key": key} | row) + "\n")
            stream.flush()
            os.fsync(stream.fileno())

    def publish(self, record: dict[str, Any]) -> None:
        """Write the run record and give the folder its name."""
        with (self.work / RECORD).open("w", encoding="utf8") as stream:
            json.dump(record, stream, indent=1)
            stream.flush()
            os.fsync(stream.fileno())
        for name in (DONE, LOCK, "fingerprint.json"):
            (self.work / name).unlink(missing_ok=True)
        old = self.out.with_name(self.out.name + ".old")
        shutil.rmtree(old, ignore_errors=True)
        if self.out.exists():
            self.out.replace(old)
        self.work.replace(self.out)
        shutil.rmtree(old, ignore_errors=True)


@contextmanager
def opened(out: Path, fingerprint: dict[str, Any], resume: bool, overwrite: bool) -> Iterator[Workspace]:
    """A workspace for `out`, held by this process alone.

    Raises `UsageError` if `out` exists without `overwrite`, or if a run that was begun with another `fingerprint` is to
    be resumed; `StorageError` if it cannot be written or another process holds it. If the work ends in an error and
    nothing was finished, nothing stays behind.
    """
    space = Workspace(out)
    if out.exists() and not overwrite:
        raise UsageError("the output exists", out, "choose another -o, or say --overwrite")
    fingerprint = json.loads(json.dumps(fingerprint, default=str))
    try:
        space.work.mkdir(parents=True, exist_ok=True)
        _lock(space.work)
        _begin(space, fingerprint, resume)
    except OSError as error:
        raise StorageError(
            "cannot write the output", f"{space.work} ({error.strerror or error})", "choose another -o"
        ) from error
    try:
        yield space
    finally:
        if space.work.is_dir():
            (space.work / LOCK).unlink(missing_ok=True)
            if not (space.work / DONE).exists():
                shutil.rmtree(space.work, ignore_errors=True)


def _begin(space: Workspace, fingerprint: dict[str, Any], resume: bool) -> None:
    path = space.work / "fingerprint.json"
    before = json.loads(path.read_text(encoding="utf8")) if path.is_file() else None
    if resume and before is not None and before != fingerprint:
        changed = sorted(k for k in fingerprint if before.get(k) != fingerprint[k])
        raise UsageError(
            "the run to resume was begun with something else",
            ", ".join(changed),
            "run it as before, or anew without --resume",
        )
    if not resume or before is None:
        for entry in space.work.iterdir():
            if entry.name != LOCK:
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    path.write_text(json.dumps(fingerprint), encoding="utf8")


def _lock(folder: Path) -> None:
    """Take the folder, or raise a sentence that names the process which has it; the lock of a dead one is void."""
    path = folder / LOCK
    for _ in range(2):
        try:
            handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        except FileExistsError:
            holder = path.read_text(encoding="utf8") if path.is_file() else ""
            if holder.isdigit() and _alive(int(holder)):
                raise StorageError(
                    "another run writes to this output",
                    f"{folder}, process {holder}",
                    "wait for it, or choose another -o",
                ) from None
            path.unlink(missing_ok=True)
        else:
            os.write(handle, str(os.getpid()).encode())
            os.close(handle)
            return
    raise StorageError("another run writes to this output", folder, "wait for it, or choose another -o")


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
