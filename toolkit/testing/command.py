"""The command line, as it is installed."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import entry_points


def seg(words: Sequence[str]) -> int:
    """Run `seg` with these words in this process; its exit code."""
    (script,) = entry_points(group="console_scripts", name="seg")
    return int(script.load()(words))
