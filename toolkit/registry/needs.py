"""The plugins that a model needs, and what to say where one of them is missing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from toolkit.errors import ModelError
from toolkit.plugins.catalogue import Catalogue, Plugin
from toolkit.plugins.recipe import Recipe


def needed(recipe: Recipe, catalogue: Catalogue) -> tuple[Plugin, ...]:
    """The plugins that a recipe uses, by name."""
    roots = {type(spec).__module__.partition(".")[0] for spec in (recipe.network, recipe.postprocess, *recipe.losses)}
    return tuple(p for p in catalogue.plugins if p.entry.module.partition(".")[0] in roots)


def present(plugins: Iterable[str], distributions: Mapping[str, object], catalogue: Catalogue, where: object) -> None:
    """Refuse a model one of whose `plugins` is not installed: `distributions` say which package has it."""
    installed = {name for plugin in catalogue.plugins for name in (plugin.name, plugin.distribution)}
    missing = sorted(name for name in plugins if name not in installed)
    if missing:
        if catalogue.leaves_out(missing[0]):
            catalogue.plugin(missing[0])
        known = distribution(distributions, missing[0])
        how = f"pip install {known}" if known else "ask the model's author for it"
        raise ModelError("the model needs a plugin that is not installed", f"{where}: {missing[0]}", how)


def distribution(distributions: Mapping[str, object], plugin: str) -> str | None:
    """The package that has a plugin, as a model recorded it, if that can be the name of one."""
    name = distributions.get(plugin)
    return name if isinstance(name, str) and re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name) else None
