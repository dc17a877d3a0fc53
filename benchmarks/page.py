"""A table in a page of the documentation, between its markers."""

from __future__ import annotations

import sys
from pathlib import Path


def halves(page: Path, begin: str, end: str) -> tuple[str, str]:
    """What stands before and after a table. Ends the script where the page has no such lines: ask before long work."""
    before, begun, rest = page.read_text(encoding="utf8").partition(begin)
    _, ended, after = rest.partition(end)
    if not begun or not ended:
        sys.exit(f"{page} has no markers {begin.strip()} … {end.strip()}")
    return before, after


def with_table(page: Path, begin: str, end: str, table: str) -> str:
    """The page with `table` between the lines `begin` and `end`."""
    before, after = halves(page, begin, end)
    return f"{before}{begin}\n{table}\n{end}{after}"
