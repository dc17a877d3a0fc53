"""`seg show`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toolkit.cli import console
from toolkit.cli.catalogue import catalogue

if TYPE_CHECKING:
    from toolkit.plugins.catalogue import Catalogue
    from toolkit.plugins.recipe import Recipe

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
    found, _ = resolve(recipe, catalogue(context), changes or ())
    if as_json:
        console.document(found.plain())
    else:
        console.paragraph(console.results(), found.dump().rstrip())


def resolve(
    name: str, plugins: Catalogue, changes: list[str] | tuple[str, ...] = (), owner: str | None = None
) -> tuple[Recipe, str | None]:
    """The recipe called `name` and the plugin that owns it (None for a file of the user's).

    A plugin's name is also that of its recipe: looking there first imports no other plugin.
    """
    from toolkit.plugins.recipe import Recipe

    path = Path(name)
    if path.suffix in (".yaml", ".yml"):
        return Recipe.load(path, plugins, owner, changes), owner
    if owner is None and any(plugin.name == name for plugin in plugins.plugins):
        owner = name
    plugin, path = plugins.locate("recipes", name, owner)
    return Recipe.load(path, plugins, plugin, changes), plugin
