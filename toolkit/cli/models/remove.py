"""`seg models remove`."""

from __future__ import annotations

from typing import Annotated

import typer

from toolkit.cli import console


def remove(name: Annotated[str, typer.Argument(help="An installed model: name, name@version or name@alias.")]) -> None:
    """Forget an installed model; `seg models gc` then frees its space.

    Example: seg models remove nuclei@1.2
    """
    from toolkit.registry.store import Store

    console.results().print(f"removed {Store().remove(name).reference}", markup=False)
