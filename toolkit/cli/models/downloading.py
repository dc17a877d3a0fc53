"""The progress bar of a download."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from toolkit.cli import console
from toolkit.files.plain_text import shown

if TYPE_CHECKING:
    from toolkit.registry.fetch import Tell


@contextmanager
def downloading() -> Iterator[Tell]:
    """A function to tell of the progress of files; silent when stderr is no terminal."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    screen = console.progress()
    with Progress(*columns, console=screen, disable=not screen.is_terminal, transient=True) as bar:
        tasks: dict[str, int] = {}

        def tell(file: str, done: int, total: int) -> None:
            if file not in tasks:
                tasks[file] = int(bar.add_task(shown(file)))
            bar.update(tasks[file], completed=done, total=total or None)  # type: ignore[arg-type]  # rich's own NewType

        yield tell
