"""Where a verb writes: results on stdout, everything else on stderr. Text is text here, never markup or commands."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toolkit.cli.streams import answers, reserved
from toolkit.files.plain_text import document as plain_document
from toolkit.files.plain_text import shown

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


def _alone(context: typer.Context, wanted: bool) -> bool:
    if wanted:
        context.with_resource(reserved())
    return wanted


Json = Annotated[
    bool, typer.Option("--json", callback=_alone, help="Print one JSON document on stdout and nothing else there.")
]
"""The flag that every verb with results has."""


def results() -> Console:
    """For tables and text that are the result of a verb."""
    return _console(soft_wrap=not sys.stdout.isatty())


def progress() -> Console:
    """For progress and remarks: stderr."""
    return _console(stderr=True)


def paragraph(screen: Console, text: str) -> None:
    """Text of several lines; whatever else is printed stays on one."""
    from rich.text import Text

    screen.print(Text(shown(text, lines=True)))


def table(*names: str) -> Table:
    """A table whose cells go on in the next line where the screen is narrow: no name is cut."""
    from rich.table import Column, Table

    return Table(*(Column(name, overflow="fold") for name in names), box=None, pad_edge=False)


def document(data: Any) -> None:
    """The one JSON document of a verb that was given `--json`."""
    text, screen = plain_document(data), answers()
    try:
        text.encode(screen.encoding or "utf8")
    except UnicodeEncodeError:
        text = plain_document(data, ascii_only=True)
    screen.write(text + "\n")


class Remarks(logging.Formatter):
    """What the toolkit and its libraries remark, on one line."""

    def format(self, record: logging.LogRecord) -> str:
        return shown(record.getMessage())


def _console(**settings: Any) -> Console:
    from rich.console import Console

    class Plain(Console):
        """Shows names and notes of others, in lines and in cells of tables, as what they are."""

        def render_str(self, text: str, **options: Any) -> Any:
            return super().render_str(shown(text), **options)

    return Plain(markup=False, emoji=False, highlight=False, **settings)
