"""How large blocks may be, as memory has told: known to all images of a run, and to who goes on with it."""

from __future__ import annotations

from pathlib import Path

from toolkit.files import whole
from toolkit.files.journal import row_of, signed

SMALLER = "block.txt"


def smallest(run: Path, asked: int | None) -> int | None:
    """Voxels per axis of a block: what was `asked`, or what is known of the run in its work folder if that is less."""
    path = run / SMALLER
    known = row_of(path.read_bytes()) if path.is_file() and not path.is_symlink() else None
    if not isinstance(known, int) or known < 1:
        return asked
    return min(known, asked or known)


def remember(run: Path, block: int) -> None:
    """Let later blocks be no larger."""
    whole.text(run / SMALLER, signed(block))
