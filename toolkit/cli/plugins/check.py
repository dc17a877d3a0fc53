"""`seg plugins check`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from toolkit.cli import console
from toolkit.cli.catalogue import catalogue
from toolkit.errors import PluginError


def check(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="A plugin of `seg plugins list`.")],
    timeout: Annotated[float, typer.Option(help="Seconds that one check may take.")] = 300.0,
    as_json: console.Json = False,
) -> None:
    """Run the conformance checks on a plugin.

    They run in a process of their own; the exit code is 9 if one fails.

    Example: seg plugins check builtin
    """
    from toolkit.plugins.probe import healthy
    from toolkit.testing.suite import Outcome, run

    plugin = catalogue(context).plugin(name)
    healthy(plugin, timeout)
    shown = console.progress()
    found: list[Outcome] = []
    with shown.status(f"checking {name}") as status:
        for outcome in run(name, timeout):
            found.append(outcome)
            status.update(f"{outcome.subject}: {outcome.check}")
    failed = [outcome for outcome in found if outcome.state == "failed"]
    if as_json:
        console.document({"plugin": name, "ok": not failed, "checks": [asdict(outcome) for outcome in found]})
    else:
        console.results().print(_table(found))
        for outcome in failed:
            console.paragraph(console.results(), f"\n{outcome.subject}: {outcome.check}\n  {outcome.why}")
    if failed:
        raise PluginError(f"{len(failed)} of {len(found)} checks failed", name, "see above")


def _table(found: list[Any]) -> Any:
    table = console.table("subject", "ok", "failed", "skipped", "seconds")
    for subject in dict.fromkeys(outcome.subject for outcome in found):
        own = [outcome for outcome in found if outcome.subject == subject]
        counts = [str(sum(outcome.state == state for outcome in own)) for state in ("ok", "failed", "skipped")]
        table.add_row(subject, *counts, f"{sum(outcome.seconds for outcome in own):.1f}")
    return table
