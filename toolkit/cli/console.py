"""Where a verb writes: results on stdout, everything else on stderr."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout and nothing else there.")]
"""The flag that every verb with results has."""


def results() -> Console:
    """For tables and text that are the result of a verb."""
    from rich.console import Console

    return Console(highlight=False, soft_wrap=not sys.stdout.isatty())


def progress() -> Console:
    """For progress and remarks: stderr."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def document(data: Any) -> None:
    """The one JSON document of a verb that was given `--json`."""
    sys.stdout.write(json.dumps(data, indent=2, ensure_ascii=False, default=str) + "\n")
