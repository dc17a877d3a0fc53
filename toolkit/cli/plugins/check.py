"""`seg plugins check`."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from toolkit.cli import console
from toolkit.cli.catalogue import catalogue
from toolkit.errors import PluginError, UsageError

MARKS = {"ok": "ok    ", "failed": "FAILED", "skipped": "skip  "}


def check(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(help="A plugin of `seg plugins list`.")] = None,
    wheel: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A wheel: it is checked as it would be installed.")
    ] = None,
    timeout: Annotated[float, typer.Option(help="Seconds that one check may take.")] = 300.0,
    as_json: console.Json = False,
) -> None:
    """Run the conformance checks on a plugin.

    They run in a process of their own, one line each; the exit code is 9 if one fails, or if nothing could be tested.

    Example: seg plugins check builtin
    """
    from toolkit.plugins.probe import healthy
    from toolkit.testing import wheels
    from toolkit.testing.suite import Outcome, run

    if (name is None) == (wheel is None):
        raise UsageError("name a plugin, or a wheel with --wheel", do="see seg plugins list")
    screen, found, burden = console.results(), list[Outcome](), ""

    def tell(outcome: Outcome) -> None:
        found.append(outcome)
        if not as_json:
            why = f": {outcome.why}" if outcome.why else ""
            console.paragraph(screen, f"{MARKS[outcome.state]} {outcome.subject}: {outcome.check}{why}")

    if wheel is None:
        burden = healthy(catalogue(context).plugin(str(name)), timeout).burden
        if burden and not as_json:
            console.paragraph(screen, f"note   plugin {name}: {burden}")
        for outcome in run(str(name), timeout):
            tell(outcome)
    else:
        with wheels.installed(wheel) as there:
            name = there.plugin
            for outcome in there.looked_at():
                tell(outcome)
            for outcome in run(name, timeout, there.environment):
                tell(outcome)
    counts = Counter(outcome.state for outcome in found)
    if as_json:
        ok = counts["ok"] > 0 and not counts["failed"]
        notes = [burden] if burden else []
        console.document({"plugin": name, "ok": ok, "checks": [asdict(o) for o in found], "notes": notes})
    if counts["failed"]:
        raise PluginError(f"{counts['failed']} of {len(found)} checks failed", str(name), "see above")
    if not counts["ok"]:
        raise PluginError("nothing of this plugin could be tested", str(name), "see the reasons above")
    if not as_json:
        screen.print(f"{counts['ok']} checks ok, {counts['skipped']} skipped", markup=False)
