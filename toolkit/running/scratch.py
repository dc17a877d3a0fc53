"""Where a run keeps the parts of unfinished images if not beside its output: a folder that bears the output's name and
the digest of its path, so that no two outputs have the same."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from toolkit.errors import ToolkitError, UsageError
from toolkit.files import whole
from toolkit.files.journal import row_of, signed
from toolkit.files.lock import held
from toolkit.running.trespass import only_marked

WHERE = "scratch.txt"


def place(scratch: Path, out: Path) -> Path:
    """The folder in `scratch` of a run that writes `out`."""
    digest = sha256(os.fsencode(out.parent.resolve() / out.name)).hexdigest()
    return scratch / f"{out.name[:50]}-{digest[:12]}.work"


def usable(scratch: Path, others: Iterable[Path]) -> None:
    """Raise `UsageError` unless `scratch` is a folder that lies in none of the `others`."""
    if not scratch.is_dir():
        raise UsageError("there is no such folder", f"--work {scratch}", "make it, or name another")
    if any(scratch.resolve().is_relative_to(other.resolve()) for other in others):
        raise UsageError("this folder is the run's own", f"--work {scratch}", "name another, or leave it out")


def chosen(folder: Path, out: Path, asked: Path | None, going_on: bool) -> Path | None:
    """Where the run that works in `folder` keeps its parts: what was `asked`, but one that is gone on with has a place
    already. Raises `UsageError` if it is another; what a run that is begun anew had elsewhere is removed."""
    path = folder / WHERE
    said = row_of(path.read_bytes()) if path.is_file() and not path.is_symlink() else None
    before = Path(said) if isinstance(said, str) else None
    if going_on:
        if asked not in (None, before):
            cure = f"say --work {before}" if before else "leave --work out"
            raise UsageError("the parts of the run to resume are elsewhere", before or folder,
                             f"{cure}, or run it anew without --resume")  # fmt: skip
        return before
    if before not in (None, asked):
        assert before is not None
        with suppress(ToolkitError, OSError):  # in use, gone, or nobody knows whose
            _remove(place(before, out))
    return asked


def remember(folder: Path, scratch: Path | None) -> None:
    """Note where the run that works in `folder` keeps its parts."""
    if scratch is not None:
        whole.text(folder / WHERE, signed(str(scratch)))


def _remove(folder: Path) -> None:
    if only_marked(folder):
        with held(folder):
            shutil.rmtree(folder)
