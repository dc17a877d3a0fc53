"""What went wrong, as one `error:` line on stderr and an exit code."""

from __future__ import annotations

import errno
import sys
import traceback
from typing import Any

from typer import Abort, TyperException

from toolkit.errors import ToolkitError
from toolkit.files.plain_text import shown

STORAGE = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS}
"""What the operating system says when a disk is full or a path may not be read or written."""


def report(error: BaseException, stack: bool = False) -> int:
    """Write the line and return the exit code; a traceback goes with it only if the fault is ours, or with `stack`."""
    if isinstance(error, SystemExit) and _plugin_of(error) is None:
        return error.code if isinstance(error.code, int) else 1
    line, code = explain(error)
    if code == 1 or stack:
        sys.stderr.write(shown("".join(traceback.format_exception(error)), lines=True))
    sys.stderr.write(f"error: {' '.join(shown(line).split())}\n")
    return code


def explain(error: BaseException) -> tuple[str, int]:
    """`(sentence, exit code)`."""
    if isinstance(error, ToolkitError):
        return str(error), error.exit_code
    if isinstance(error, TyperException):
        return _usage(error), 2
    if isinstance(error, KeyboardInterrupt | Abort):
        return "interrupted", 130
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return "out of memory; use smaller blocks (--block) or fewer workers (--workers 1)", 6
    if isinstance(error, OSError) and error.errno in STORAGE:
        cure = "see who may read and write there" if isinstance(error, PermissionError) else "free space"
        return f"{error.strerror}: {error.filename or 'output'}; {cure} or choose another path", 7
    culprit = _plugin_of(error)
    if culprit is not None:
        plugin, where = culprit
        return f"plugin {plugin} failed: {type(error).__name__}: {error} ({where}); see seg plugins check {plugin}", 9
    return "this is a bug in the toolkit, not in your data; please report it with the lines above", 1


def _usage(error: Any) -> str:
    """A typer error as a sentence that ends with where to look."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "seg"
    return f"{error.format_message().rstrip('.')}; see {command} --help"


def _plugin_of(error: BaseException) -> tuple[str, str] | None:
    """The plugin in whose code the error arose, and file and line, or None if it arose in ours."""
    from toolkit.plugins.catalogue import Catalogue

    owners = {p.entry.module.partition(".")[0]: p.name for p in Catalogue().plugins}
    owners.pop("toolkit", None)
    for frame, line in reversed(list(traceback.walk_tb(error.__traceback__))):
        owner = owners.get(str(frame.f_globals.get("__name__", "")).partition(".")[0])
        if owner is not None:
            return owner, f"{frame.f_code.co_filename}, line {line}"
    return None
