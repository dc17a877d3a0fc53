"""The plugins that a verb may use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from toolkit.plugins.catalogue import Catalogue


def catalogue(context: typer.Context) -> Catalogue:
    """All installed plugins except those that `--no-plugin` leaves out."""
    from toolkit.plugins.catalogue import Catalogue

    return Catalogue(block=context.obj or ())
