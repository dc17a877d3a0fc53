"""What of the folders of a run stays when another process goes on with it."""

from __future__ import annotations

import shutil
from pathlib import Path


def there(path: Path, folder: Path) -> bool:
    """Whether a path below `folder` exists and leads nowhere else by a link."""
    return path.exists() and path.resolve() == folder.resolve() / path.relative_to(folder)


def prune(folder: Path, kept: set[Path], above: set[Path]) -> None:
    """Remove what is not kept and not above it, such as the half-written files of a killed process."""
    for entry in folder.iterdir():
        if entry in kept:
            continue
        if entry.is_symlink() or not entry.is_dir():
            entry.unlink()
        elif entry in above:
            prune(entry, kept, above)
        else:
            shutil.rmtree(entry)
