"""What all plugins bring: family → name → class. A broken plugin is recorded and stops nobody else."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import pluggy

from toolkit.errors import ModelError, PluginError, UsageError, nearest
from toolkit.plugins import API, GROUP, PROJECT, hookspecs
from toolkit.specs import Loss, Metric, Network, PostProcessor

Family = Literal["networks", "losses", "postprocessors", "metrics", "recipes"]
FAMILIES: dict[Family, type] = {
    "networks": Network,
    "losses": Loss,
    "postprocessors": PostProcessor,
    "metrics": Metric,
    "recipes": Path,
}
WORDS: dict[Family, str] = {
    "networks": "network",
    "losses": "loss",
    "postprocessors": "post-processor",
    "metrics": "metric",
    "recipes": "recipe",
}
BUILTIN = "builtin"


@dataclass(frozen=True)
class Plugin:
    """An installed plugin as its metadata describes it; nothing is imported."""

    name: str
    distribution: str
    version: str
    entry: EntryPoint = field(repr=False, compare=False)


@dataclass(frozen=True)
class Loaded:
    """What came of importing a plugin: its items by family, or the error."""

    plugin: Plugin
    items: dict[Family, dict[str, Any]]
    error: str | None = None


class Catalogue:
    """Plugins found by entry point, imported only when somebody asks for what they may have.

    `allow` limits loading to these plugins (default: `TOOLKIT_PLUGINS`, a comma-separated list, else all); `block`
    leaves some out. The built-in plugin is always there.
    """

    def __init__(self, allow: Iterable[str] | None = None, block: Iterable[str] = ()) -> None:
        listed = os.environ.get("TOOLKIT_PLUGINS")
        self._allow = set(allow) if allow is not None else set(listed.split(",")) if listed else None
        self._block = set(block)
        self._loaded: dict[Plugin, Loaded] = {}

    @cached_property
    def plugins(self) -> tuple[Plugin, ...]:
        """All plugins that may be loaded, by name; reads metadata only."""
        found = []
        for entry in entry_points(group=GROUP):
            dist = entry.dist
            name, version = (dist.name, dist.version) if dist else ("?", "?")
            if entry.name == BUILTIN or (
                (self._allow is None or entry.name in self._allow) and entry.name not in self._block
            ):
                found.append(Plugin(entry.name, name, version, entry))
        return tuple(sorted(found, key=lambda p: (p.name, p.distribution)))

    def plugin(self, name: str) -> Plugin:
        """The plugin called `name`; raises `UsageError` naming the nearest one or the pip line."""
        same = [p for p in self.plugins if p.name == name]
        if len(same) > 1:
            raise UsageError("two plugins have one name", f"{name} in {' and '.join(p.distribution for p in same)}",
                             "uninstall one of them")  # fmt: skip
        if not same:
            known = nearest(name, (p.name for p in self.plugins))
            raise UsageError("no such plugin", name, f"{known} or install it: pip install seg-toolkit-{name}")
        return same[0]

    def load(self, plugin: Plugin) -> Loaded:
        """Import `plugin` once and call its hooks; errors are recorded, not raised."""
        if plugin not in self._loaded:
            try:
                items = _collect(plugin)
                self._loaded[plugin] = Loaded(plugin, items)
            # A plugin may raise anything at import, SystemExit included; it must not stop the others.
            except (Exception, SystemExit) as error:
                text = " ".join(str(error).split()) or "no message"
                self._loaded[plugin] = Loaded(plugin, {}, f"{type(error).__name__}: {text}"[:300])
        return self._loaded[plugin]

    def use(self, name: str) -> Loaded:
        """Load the plugin called `name`; raises `PluginError` if it is broken."""
        loaded = self.load(self.plugin(name))
        if loaded.error:
            raise PluginError("this plugin is broken", f"{name} ({loaded.plugin.distribution}): {loaded.error}",
                              "ask its authors or uninstall it")  # fmt: skip
        return loaded

    def find(self, family: Family, name: str, owner: str | None = None) -> Any:
        """The class (or recipe path) called `name` or `plugin:name`.

        A bare name is looked up in the plugin `owner`, then in builtin; only then are all others imported. Raises
        `UsageError` with the nearest name, or naming both plugins when two of them have it.
        """
        return self.locate(family, name, owner)[1]

    def locate(self, family: Family, name: str, owner: str | None = None) -> tuple[str, Any]:
        """Like `find`: `(name of the plugin, item)`."""
        chosen, _, bare = name.rpartition(":")
        if chosen:
            items = self.use(chosen).items[family]
            if bare not in items:
                raise UsageError(f"plugin {chosen} has no {WORDS[family]}", bare, nearest(bare, items))
            return chosen, items[bare]
        for first in filter(None, dict.fromkeys((owner, BUILTIN))):
            items = self.use(first).items[family]
            if bare in items:
                return first, items[bare]
        having = [(p.plugin.name, p.items[family][bare]) for p in self.healthy() if bare in p.items[family]]
        if len(having) > 1:
            names = " and ".join(f"{plugin}:{bare}" for plugin, _ in having)
            raise UsageError(f"two plugins have this {WORDS[family]}", bare, f"choose {names.replace(' and ', ' or ')}")
        if having:
            return having[0]
        known = {n for p in self.healthy() for n in p.items[family]}
        broken = "".join(f"; note: plugin {b.plugin.name} is broken ({b.error})" for b in self.broken())
        raise UsageError(f"no such {WORDS[family]}", bare, nearest(bare, known) + broken)

    def collect(self, family: Family) -> dict[str, Any]:
        """Everything in a family as `plugin:name` → item, from all healthy plugins."""
        return {f"{p.plugin.name}:{n}": item for p in self.healthy() for n, item in p.items[family].items()}

    def healthy(self) -> Iterator[Loaded]:
        """All plugins that could be loaded; loads them."""
        return (loaded for loaded in map(self.load, self.plugins) if not loaded.error)

    def broken(self) -> list[Loaded]:
        """The plugins that failed so far; loads nothing."""
        return [loaded for loaded in self._loaded.values() if loaded.error]


def _collect(plugin: Plugin) -> dict[Family, dict[str, Any]]:
    """Import a plugin in a manager of its own, so that nothing it registers can disturb another."""
    module = plugin.entry.load()
    api = getattr(module, "SEG_API", None)
    if api != API:
        has = "does not say SEG_API" if api is None else f"is written for SEG_API {api}"
        raise ModelError(f"the plugin {has}", plugin.name, f"this toolkit has SEG_API {API}")
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(hookspecs)
    manager.register(module, plugin.name)
    _refuse_unknown_hooks(module, manager)
    manager.check_pending()
    return {family: _family(family, getattr(manager.hook, f"seg_{family}")(), plugin.name) for family in FAMILIES}


def _refuse_unknown_hooks(module: ModuleType, manager: pluggy.PluginManager) -> None:
    """A function that looks like a hook but is none is a misspelling."""
    known = {f"seg_{family}" for family in FAMILIES}
    for name in vars(module):
        if name.startswith("seg_") and name not in known:
            raise UsageError("no such hook", name, nearest(name, known))


def _family(family: Family, results: list[Any], plugin: str) -> dict[str, Any]:
    items: dict[str, Any] = {}
    for item in (item for result in results for item in result):
        if family == "recipes":
            path = Path(item)
            if not path.is_file():
                raise UsageError("a recipe is missing", path, "the plugin's wheel must contain it")
            name, value = path.stem, path
        else:
            if not (isinstance(item, type) and issubclass(item, FAMILIES[family])):
                raise UsageError(f"seg_{family} returned no {FAMILIES[family].__name__} class", repr(item))
            name, value = item.named(), item
        if name in items:
            raise UsageError(f"the plugin has two of one {WORDS[family]}", f"{plugin}:{name}")
        items[name] = value
    return items
