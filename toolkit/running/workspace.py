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
from toolkit.files.failpoint import failpoint
from toolkit.files.journal import Journal, row_of, signed
from toolkit.files.lock import LOCK, held
from toolkit.pipeline.shelf import JOURNAL
from toolkit.running.trespass import MARK, RECORD, marked, only_marked, only_written

DONE = "done.txt"
FINGERPRINT = "fingerprint.txt"
RESULT = "result"
FORMER = "former"
IMAGES = "images"


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

    def shelf(self, key: str) -> Path:
        """The folder of what is done of an unfinished image."""
        return self.folder / IMAGES / sha256(key.encode()).hexdigest()[:32]

    def parts(self) -> int:
        """How many parts of unfinished images are kept."""
        return sum(len(Journal(path).rows()) for path in self.folder.glob(f"{IMAGES}/*/*/{JOURNAL}*"))

    def forget(self, key: str) -> None:
        """Remove what is kept of an image: it is finished, or cannot be."""
        failpoint("forget.before")
        shutil.rmtree(self.shelf(key), ignore_errors=True)

    def done(self) -> dict[str, dict[str, Any]]:
        """What was finished before, by key, as far as its files are still there, and there themselves, not as links."""
        rows = {row["key"]: row for row in Journal(self.folder / DONE).rows()}
        return {key: row for key, row in rows.items() if all(_there(self.work / f, self.work) for f in row["files"])}

    def finish(self, key: str, row: dict[str, Any]) -> None:
        """Record that all of `row["files"]`, paths below `work`, are on disk."""
        with _writing(self.folder):
            for name in row["files"]:
                _sync(self.work / name)
            failpoint("finish.before")
            Journal(self.folder / DONE).add({"key": key} | row, now=True)

    def publish(self, record: dict[str, Any]) -> None:
        """Write the run record and give the result its name; only then the journal is forgotten.

        Raises `UsageError` if something has come to be at `out` that may not be replaced; the work is kept.
        """
        with _writing(self.folder):
            whole.text(self.work / RECORD, json.dumps(record, indent=1, ensure_ascii=False))
            failpoint("publish.before")
            writable(self.out, self.overwrite)
            if self.out.exists():
                self.out.rename(self.former)
                failpoint("publish.aside")
            try:
                self.work.rename(self.out)
            except OSError:
                if self.former.exists():
                    self.former.rename(self.out)
                raise
            whole.sync(self.out.parent)
            failpoint("publish.after")
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
    if (space.folder / DONE).exists() or space.parts() or (space.former.exists() and space.work.exists()):
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
        _alike(path, fingerprint)
        Journal(space.folder / DONE).mend()
        done = space.done()
        kept |= {path, space.folder / DONE, *(space.work / f for row in done.values() for f in row["files"])}
        kept |= {p for p in space.folder.glob(f"{IMAGES}/*/*") if _there(p, space.folder)}
        kept -= {p for key in done for p in space.shelf(key).glob("*")}
    _clear(space, kept)
    space.work.mkdir(exist_ok=True)
    whole.text(path, signed(fingerprint))


def begun(out: Path, fingerprint: dict[str, Any]) -> Workspace:
    """The workspace of a run that was begun and is not finished, which nobody holds; raises `UsageError` if there is
    none, or if it was begun with another `fingerprint`."""
    space = Workspace(out)
    path = space.folder / FINGERPRINT
    if not only_marked(space.folder) or not path.is_file():
        raise UsageError("no run was begun here", out, "begin it with --stage scale")
    _alike(path, json.loads(json.dumps(fingerprint, default=str)))
    return space


def _alike(path: Path, now: dict[str, Any]) -> None:
    """Raise `UsageError` unless the run whose fingerprint is at `path` was begun with what is there now."""
    before = row_of(path.read_bytes())
    if before is None:
        raise InputError("what is known of the run to resume is damaged", path, "run it anew without --resume")
    if changed := sorted(_changed(before, now)):
        raise UsageError("the run to resume was begun with something else", ", ".join(changed),
                         "run it as before, or anew without --resume")  # fmt: skip


def _there(path: Path, folder: Path) -> bool:
    """Whether a path below `folder` exists and leads nowhere else by a link."""
    return path.exists() and path.resolve() == folder.resolve() / path.relative_to(folder)


def _changed(before: Any, now: Any, name: str = "") -> Iterator[str]:
    """Dotted names of what differs."""
    if not (isinstance(before, dict) and isinstance(now, dict)):
        yield from [name] * (before != now)
        return
    for key in {*before, *now}:
        yield from _changed(before.get(key), now.get(key), f"{name}.{key}".lstrip("."))


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


def _sync(path: Path) -> None:
    """Wait until a file, or all files of a folder, have reached the disk."""
    for entry in (*path.rglob("*"), path) if path.is_dir() else (path,):
        whole.sync(entry)
