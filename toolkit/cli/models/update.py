"""`seg models update`."""

from __future__ import annotations

from math import isfinite, nan
from typing import Annotated

import typer

from toolkit.cli import console


def update(
    name: Annotated[str, typer.Argument(help="An installed model: name, name@version or name@alias.")],
    alias: Annotated[str | None, typer.Option(help="One more name for this version, such as best.")] = None,
    note: Annotated[str | None, typer.Option(help="The remark to keep with it.")] = None,
    score: Annotated[list[str] | None, typer.Option(metavar="METRIC=VALUE", help="A score; may be repeated.")] = None,
    as_json: console.Json = False,
) -> None:
    """Change what is said of an installed model: its alias, its note, its scores.

    Example: seg models update nuclei@1.2 --alias best --score S@0.50=0.88
    """
    from dataclasses import asdict

    from toolkit.registry.store import Store

    entry = Store().note(name, note, alias, dict(map(_score, score or ())))
    if as_json:
        console.document(asdict(entry))
    else:
        console.results().print(f"updated {entry.reference}", markup=False)


def _score(text: str) -> tuple[str, float]:
    from toolkit.errors import UsageError

    metric, _, value = text.rpartition("=")
    try:
        number = float(value)
    except ValueError:
        number = nan
    if not metric or not isfinite(number):
        raise UsageError("this is not a score", text, "write METRIC=VALUE, such as S@0.50=0.88")
    return metric, number
