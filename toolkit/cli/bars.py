"""Progress of a run on a terminal: a bar over the images; over windows and blocks where one is worked on at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from toolkit.pipeline.heard import listening


@contextmanager
def bars(images: int, screen: Any) -> Iterator[Callable[[Any], None]]:
    """What to call after each image. Silent where the screen is no terminal."""
    if not screen.is_terminal:
        yield lambda _: None
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        """How many a second, or how long one takes."""

        def render(self, task: Task) -> Text:
            pace = task.finished_speed or task.speed
            if not pace or task.total is None:
                return Text("")
            return Text(f"{pace:.1f}/s" if pace >= 1 else f"{1 / pace:.1f} s each")

    columns = (
        TextColumn("{task.description:<6}"), BarColumn(20), MofNCompleteColumn(), Rate(), TimeElapsedColumn(),
        TextColumn("left"), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=screen, transient=True) as progress:
        over = progress.add_task("images", total=images, visible=images > 1)
        shown = {"read": progress.add_task("read", total=None)}

        def hear(stage: str, done: int, total: int) -> None:
            if stage not in shown:
                progress.remove_task(shown.popitem()[1])
                shown[stage] = progress.add_task(stage, total=total or None)
            progress.update(shown[stage], completed=done)

        with listening(hear):
            yield lambda _: progress.advance(over)
