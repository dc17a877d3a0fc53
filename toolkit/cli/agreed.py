"""A plan and what the machine has: fewer processes, a question, or an error before anything is begun."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import typer

from toolkit.cli import console
from toolkit.cli.wish import Wish

if TYPE_CHECKING:
    from toolkit.running.options import Options
    from toolkit.running.plan import Plan


def within(ahead: Plan, options: Options, wish: Wish, room: float) -> tuple[Plan, Options]:
    """The plan with no more processes than memory has `room` for, in GiB, and with one where others would only begin
    when it is done; unless the user said how many."""
    from toolkit.running.afford import fewer, lone

    if not wish.workers and not options.scheduler and ahead.processes > 1 and ahead.alone <= ahead.seconds:
        ahead, options = lone(ahead), replace(options, workers=1)
    smaller = fewer(ahead, room)
    if wish.workers or ahead.gigabytes <= room or smaller.processes == ahead.processes:
        return ahead, options
    console.progress().print(f"note   {smaller.processes} processes, not {ahead.processes}: memory has no more room")
    return smaller, replace(options, workers=smaller.processes)


def begin(ahead: Plan, options: Options, wish: Wish, room: float) -> None:
    """Raise `OutOfMemory` or `StorageError` for a plan that this machine cannot hold. One of hours is said to be that;
    only a person at a terminal is asked."""
    from toolkit.running.afford import LONG, affordable

    affordable(ahead, room, options.out, options.work)
    if ahead.seconds <= LONG:
        return
    screen = console.progress()
    screen.print(f"note   this takes about {ahead.seconds / 3600:.1f} hours; --dry-run says the plan and stops")
    asked = sys.stdin.isatty() and sys.stderr.isatty() and not wish.yes
    if asked and not typer.confirm("Begin?", default=True, err=True):
        raise typer.Abort
