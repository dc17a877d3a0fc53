"""`seg show`."""

from __future__ import annotations

from typing import Annotated

import typer

from toolkit.cli import console
from toolkit.cli.catalogue import catalogue

Changes = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="SECTION.FIELD=VALUE", help="Change a field of the recipe; may be repeated."),
]
"""The option that every verb with a recipe has."""


def show(
    context: typer.Context,
    recipe: Annotated[str, typer.Argument(help="A recipe's name, plugin:name or a YAML file.")],
    changes: Changes = None,
    as_json: console.Json = False,
) -> None:
    """Print a recipe with all its fields.

    What it prints is valid YAML and a whole recipe: save it, edit it, train with it.

    Example: seg show unet --set postprocess.depth=1.5
    """
    from toolkit.plugins.recipe import recipe_named

    found, _ = recipe_named(recipe, catalogue(context), changes or ())
    if as_json:
        console.document(found.plain())
    else:
        console.paragraph(console.results(), found.dump().rstrip())
