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
    from toolkit.plugins.collect import WORDS

    plugin = loaded.plugin
    lines = [f"{plugin.name}  {plugin.distribution} {plugin.version}"]
    for family, items in loaded.items.items():
        for kind, item in items.items():
            if family == "recipes":
                trained = ", with weights" if item.with_suffix(".safetensors").is_file() else ""
                lines += ["", f"recipe {kind}{trained}"]
                continue
            lines += ["", f"{WORDS[family]} {kind}", *_indented(_described(item), 2)]
            for field, about in _fields(item).items():
                low, *_, high = about["range"] or (None, None)
                tuned = f", tuned from {low} to {high}" if about["tunable"] else ""
                lines += [f"    {field} = {about['default']}  ({about['type']}){tuned}", *_indented(about["about"], 8)]
    console.paragraph(console.results(), "\n".join(lines))


def _indented(text: str, by: int) -> list[str]:
    return [" " * by + line for line in text.splitlines()]


def _plain(loaded: Loaded) -> dict[str, Any]:
    """Everything as plain data."""
    about: dict[str, Any] = {"name": loaded.plugin.name, "distribution": loaded.plugin.distribution}
    about["version"] = loaded.plugin.version
    for family, items in loaded.items.items():
        if family == "recipes":
            about["recipes"] = {name: {"weights": p.with_suffix(".safetensors").is_file()} for name, p in items.items()}
        else:
            about[family] = {kind: {"about": _described(item), "fields": _fields(item)} for kind, item in items.items()}
    return about


def _described(item: type) -> str:
    """The whole description of a class, a paragraph on a line."""
    return "\n".join(" ".join(part.split()) for part in (item.__doc__ or "").split("\n\n"))


def _type(field: Any) -> str:
    """The type of a field, in words."""
    bounds = [
        f"{sign} {mark}" for sign, mark in zip((">", "≥", "<", "≤"), _bounds(field), strict=True) if mark is not None
    ]
    name = getattr(field.annotation, "__name__", "") or "any"
    return f"{name} {', '.join(bounds)}".strip()


def _bounds(field: Any) -> list[Any]:
    return [next((getattr(m, n) for m in field.metadata if hasattr(m, n)), None) for n in ("gt", "ge", "lt", "le")]


def _range(search: Any) -> list[Any]:
    """What `seg tune` looks at: both ends, or the choices."""
    return list(search.choices) or [search.low, search.high]


def _fields(item: Any) -> dict[str, dict[str, Any]]:
    from toolkit.plugins.described import described
    from toolkit.plugins.search import Search

    tunable, about = item.tunable(), described(item)
    return {
        name: {
            "type": _type(field),
            "default": None if field.is_required() else field.get_default(call_default_factory=True),
            "about": " ".join(about.get(name, "").split()),
            "bounds": [str(mark) for mark in field.metadata if not isinstance(mark, Search)],
            "tunable": name in tunable,
            "range": _range(tunable[name]) if name in tunable else None,
        }
        for name, field in item.model_fields.items()
        if name != "kind"
    }
