"""Whether a run is gone on with as it was begun: the two are compared field by field."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from toolkit.errors import InputError, UsageError
from toolkit.files.journal import row_of


def alike(path: Path, now: dict[str, Any]) -> None:
    """Raise `UsageError` unless the run whose fingerprint is at `path` was begun with what is there now."""
    before = row_of(path.read_bytes())
    if before is None:
        raise InputError("what is known of the run to resume is damaged", path, "run it anew without --resume")
    if changed := sorted(_changed(before, now)):
        raise UsageError("the run to resume was begun with something else", ", ".join(changed),
                         "run it as before, or anew without --resume")  # fmt: skip


def _changed(before: Any, now: Any, name: str = "") -> Iterator[str]:
    """Dotted names of what differs."""
    if not (isinstance(before, dict) and isinstance(now, dict)):
        yield from [name] * (before != now)
        return
    for key in {*before, *now}:
        yield from _changed(before.get(key), now.get(key), f"{name}.{key}".lstrip("."))
