"""`seg plugins show`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from toolkit.cli import console
from toolkit.cli.catalogue import catalogue

if TYPE_CHECKING:
    from toolkit.plugins.catalogue import Loaded


def show(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="A plugin of `seg plugins list`.")],
    timeout: Annotated[float, typer.Option(help="Seconds that its import may take.")] = 30.0,
    as_json: console.Json = False,
) -> None:
    """Show what a plugin brings.

    Every class with its fields and their defaults, and its recipes.

    Example: seg plugins show builtin
    """
    from toolkit.plugins.probe import healthy

    plugins = catalogue(context)
    healthy(plugins.plugin(name), timeout)
    loaded = plugins.use(name)
    if as_json:
        console.document(_plain(loaded))
        return
    from rich.tree import Tree

    from toolkit.plugins.collect import WORDS

    plugin = loaded.plugin
    tree = Tree(f"{plugin.name}  {plugin.distribution} {plugin.version}")
    for family, items in loaded.items.items():
        for kind, item in items.items():
            if family == "recipes":
                trained = ", with weights" if item.with_suffix(".safetensors").is_file() else ""
                tree.add(f"recipe {kind}{trained}")
            else:
                branch = tree.add(f"{WORDS[family]} {kind}: {_line(item)}")
                for field, about in _fields(item).items():
                    branch.add(f"{field} = {about['default']}{'  tunable' if about['tunable'] else ''}")
    console.results().print(tree, markup=False)


def _plain(loaded: Loaded) -> dict[str, Any]:
    """Everything as plain data."""
    about: dict[str, Any] = {"name": loaded.plugin.name, "distribution": loaded.plugin.distribution}
    about["version"] = loaded.plugin.version
    for family, items in loaded.items.items():
        if family == "recipes":
            about["recipes"] = {name: {"weights": p.with_suffix(".safetensors").is_file()} for name, p in items.items()}
        else:
            about[family] = {kind: {"about": _line(item), "fields": _fields(item)} for kind, item in items.items()}
    return about


def _line(item: type) -> str:
    """The first sentence of a class."""
    return " ".join((item.__doc__ or "").split("\n\n")[0].split())


def _fields(item: Any) -> dict[str, dict[str, Any]]:
    tunable = item.tunable()
    return {
        name: {
            "default": None if field.is_required() else field.get_default(call_default_factory=True),
            "about": field.description,
            "tunable": name in tunable,
        }
        for name, field in item.model_fields.items()
        if name != "kind"
    }
