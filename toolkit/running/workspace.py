"""The folder of a run: absent or complete. Work goes on in `OUT.work` and what was made is renamed to `OUT` at the end.

`OUT.work` holds a mark that only runs write, the journal, `result`, and for a moment `former`, the output that is
replaced. What is not marked is somebody's own and is never touched. Wherever a process dies, the next one finds either
`OUT`, or `former` and puts it back. What is kept of unfinished images lies there too, or in a marked folder elsewhere.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from toolkit.errors import StorageError, UsageError
from toolkit.files import whole
from toolkit.files.failpoint import failpoint
from toolkit.files.journal import Journal, signed
from toolkit.files.lock import LOCK, held
from toolkit.pipeline.shelf import JOURNAL
from toolkit.running.same import alike
from toolkit.running.scratch import chosen, place, remember, usable
from toolkit.running.smaller import SMALLER
from toolkit.running.swept import prune, there
from toolkit.running.trespass import MARK, RECORD, marked, only_marked, only_written

DONE = "done.txt"
FINGERPRINT = "fingerprint.txt"
RESULT = "result"
FORMER = "former"
IMAGES = "images"


@dataclass(frozen=True)
class Workspace:
    """`out` is where the result appears; `work` is where it is made, in `folder` on the same disk. Parts of unfinished
    images are `kept` there, or in a folder of `scratch`."""

    out: Path
    overwrite: bool = False
    scratch: Path | None = None

    @property
    def folder(self) -> Path:
        return self.out.with_name(self.out.name + ".work")

    @property
    def work(self) -> Path:
        return self.folder / RESULT

    @property
    def former(self) -> Path:
        return self.folder / FORMER

    @property
    def kept(self) -> Path:
        """The folder of what is done of unfinished images."""
        return self.folder if self.scratch is None else place(self.scratch, self.out)

    def shelf(self, key: str) -> Path:
        """The folder of what is done of an unfinished image."""
        return self.kept / IMAGES / sha256(key.encode()).hexdigest()[:32]

    def parts(self) -> int:
        """How many parts of unfinished images are kept."""
        return sum(len(Journal(path).rows()) for path in self.kept.glob(f"{IMAGES}/*/*/{JOURNAL}*"))

    def forget(self, key: str) -> None:
        """Remove what is kept of an image: it is finished, or cannot be."""
        failpoint("forget.before")
        shutil.rmtree(self.shelf(key), ignore_errors=True)

    def done(self) -> dict[str, dict[str, Any]]:
        """What was finished before, by key, as far as its files are still there, and there themselves, not as links."""
        rows = {row["key"]: row for row in Journal(self.folder / DONE).rows()}
        return {key: row for key, row in rows.items() if all(there(self.work / f, self.work) for f in row["files"])}

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
            writable(self)
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
            shutil.rmtree(self.kept / IMAGES, ignore_errors=True)


def writable(space: Workspace) -> None:
    """Raise `UsageError` if a run may not write its `out` or work beside it, `StorageError` if its path is none.

    With `overwrite`, the output of a run is replaced if the run wrote every file in it.
    """
    out = space.out
    if out.name in ("", ".."):
        raise UsageError("this is no name of a new folder", out, "choose another -o")
    with _writing(out):
        if out.is_symlink():
            raise UsageError("the output is a link", out, "choose another -o, or the folder that it points to")
        if out.exists():
            if not space.overwrite:
                raise UsageError("the output exists", out, "choose another -o, or say --overwrite")
            only_written(out)
        only_marked(space.folder)
    if space.scratch is not None:
        with _writing(space.scratch, "--work"):
            usable(space.scratch, (out, space.folder))
            only_marked(space.kept)


@contextmanager
def opened(
    out: Path, fingerprint: dict[str, Any], resume: bool, overwrite: bool, scratch: Path | None = None
) -> Iterator[Workspace]:
    """A workspace for `out`, held by this process alone; a run that is resumed keeps its `scratch`.

    Raises `UsageError` if `out` exists without `overwrite`, if not all in it is of a run, if `OUT.work` is somebody's
    own, or if a run that was begun with another `fingerprint` is to be resumed; `StorageError` if it cannot be written
    or another process holds it. If the work ends in an error and nothing was finished, nothing stays behind.
    """
    space = Workspace(out, overwrite, scratch)
    writable(space)
    fingerprint = json.loads(json.dumps(fingerprint, default=str))
    with ExitStack() as stack:
        with _writing(space.folder):
            space.folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(held(space.folder))
            marked(space.folder)
            going_on = resume and (space.folder / FINGERPRINT).is_file()
            space = replace(space, scratch=chosen(space.folder, out, scratch, going_on))
        with _writing(space.kept, "--work"):
            if space.scratch is not None:
                space.kept.mkdir(exist_ok=True)
                stack.enter_context(held(space.kept))
                marked(space.kept)
        with _writing(space.folder):
            stack.callback(_tidy, space)
            _restore(space)
            writable(space)  # another run may have ended while this one came to hold the folder
            _begin(space, fingerprint, going_on)
        yield space


@contextmanager
def _writing(folder: Path, option: str = "-o") -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(
            "cannot write the output",
            f"{folder} ({error.strerror or error})",
            f"free space, or choose another {option}",
        ) from error


def _tidy(space: Workspace) -> None:
    """Leave nothing behind where nothing was finished, or all is published."""
    if (space.folder / DONE).exists() or space.parts() or (space.former.exists() and space.work.exists()):
        return
    with suppress(OSError):
        _clear(space, set())
        for folder in dict.fromkeys((space.kept, space.folder)):
            for name in (MARK, LOCK):
                (folder / name).unlink(missing_ok=True)
            folder.rmdir()


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
    kept = set()
    if resume:
        alike(path, fingerprint)
        Journal(space.folder / DONE).mend()
        done = space.done()
        kept = {path, space.folder / DONE, space.folder / SMALLER}
        kept |= {space.work / name for row in done.values() for name in row["files"]}
        kept |= {p for p in space.kept.glob(f"{IMAGES}/*/*") if there(p, space.kept)}
        kept -= {p for key in done for p in space.shelf(key).glob("*")}
    _clear(space, kept)
    remember(space.folder, space.scratch)
    space.work.mkdir(exist_ok=True)
    whole.text(path, signed(fingerprint))


def begun(out: Path, fingerprint: dict[str, Any], scratch: Path | None = None) -> Workspace:
    """The workspace of a run that was begun and is not finished, which nobody holds; raises `UsageError` if there is
    none, or if it was begun with another `fingerprint` or `scratch`."""
    space = Workspace(out)
    path = space.folder / FINGERPRINT
    if not only_marked(space.folder) or not path.is_file():
        raise UsageError("no run was begun here", out, "begin it with --stage scale")
    alike(path, json.loads(json.dumps(fingerprint, default=str)))
    return replace(space, scratch=chosen(space.folder, out, scratch, True))


def _clear(space: Workspace, kept: set[Path]) -> None:
    """Remove all but locks, marks and `kept` from the folders of a run."""
    folders = dict.fromkeys((space.folder, space.kept))
    kept = kept | {folder / name for folder in folders for name in (LOCK, MARK)}
    if space.former.exists():
        # Under its name the former output is complete, or not there.
        space.former.rename(space.folder / whole.draft())
    for folder in folders:
        prune(folder, kept, {parent for path in kept for parent in path.parents})


def _sync(path: Path) -> None:
    """Wait until a file, or all files of a folder, have reached the disk."""
    for entry in (*path.rglob("*"), path) if path.is_dir() else (path,):
        whole.sync(entry)
