"""The start of a command, most of which is imports. They make hundreds of thousands of objects that stay, and looking
among these for what could be freed takes a tenth of the time of a short command."""

from __future__ import annotations

import gc


def begin() -> None:
    """Free nothing that only a search finds."""
    gc.disable()


def over() -> None:
    """From here on memory counts: search as usual, but not among what the start has made."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()
