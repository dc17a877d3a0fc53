"""Whose a folder is: a run replaces only what a run wrote, and works only in a folder that a run marked."""

from __future__ import annotations

import os
from pathlib import Path

from toolkit.errors import UsageError
from toolkit.files import bounded
from toolkit.files.lock import LOCK

RECORD = "run.json"
MARK = ".seg-work"
MARKED = b"toolkit.work/1\n"


def only_written(out: Path) -> None:
    """Raise `UsageError` if `out` is no output of a run, or holds a file or link that the run did not write.

    A run says in its record what it wrote; a folder that it names is its own with all that is in it, but for links.
    """
    no_run = UsageError("this is no output of a run, so it is not overwritten", out, "choose another -o")
    if not out.is_dir():
        raise no_run
    if not any(out.iterdir()):
        return
    try:
        images = bounded.read_json(out / RECORD, 2**29)["images"]
        written = {Path(name) for image in images for name in image["files"]} - {Path()}
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise no_run from error
    written |= {Path(RECORD), Path(LOCK)}
    for top, folders, files in os.walk(out, onerror=_raised):
        folders.sort()
        links = [name for name in folders if (Path(top) / name).is_symlink()]
        for path in (Path(top) / name for name in sorted(files + links)):
            name = path.relative_to(out)
            if path.is_symlink() or written.isdisjoint((name, *name.parents)):
                raise UsageError("the run did not write this, so its output is not overwritten", path,
                                 "move it away, or choose another -o")  # fmt: skip


def _raised(error: OSError) -> None:
    raise error


def only_marked(folder: Path) -> bool:
    """Whether the work folder `folder` is there and marked; raises `UsageError` if it is not a run's to work in."""
    if not os.path.lexists(folder):
        return False
    if folder.is_dir() and not folder.is_symlink():
        entries = list(folder.iterdir())
        mark = folder / MARK
        said = mark.read_bytes() if mark.is_file() else b""
        # A run that was killed at its very beginning, or end, leaves no more than these.
        bare = {entry.name for entry in entries} <= {MARK, LOCK} and MARKED.startswith(said)
        if (said == MARKED or bare) and not any(entry.is_symlink() for entry in entries):
            return said == MARKED
    raise UsageError("no run made this, so none works in it", folder, "move it away, or choose another -o")


def marked(folder: Path) -> None:
    """Mark a work folder that is empty but for its lock; raises `UsageError` as `only_marked`."""
    if not only_marked(folder):
        (folder / MARK).write_bytes(MARKED)
