"""What all plugins bring: family → name → class. A broken plugin is recorded and stops nobody else."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from threading import Timer
from typing import Any

from toolkit.errors import PluginError, ToolkitError, UsageError, nearest
from toolkit.plugins import GROUP
from toolkit.plugins.collect import WORDS, Family, collect
from toolkit.plugins.lacking import lacking

log = logging.getLogger(__name__)
BUILTIN = "builtin"
MODULE = "toolkit.builtin"
LATE = 10.0
"""Seconds of an import after which it is said that it goes on."""


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
    cure: str = "ask its authors or uninstall it"


def broken(plugin: Plugin, error: str, cure: str = Loaded.cure) -> PluginError:
    """The error of whoever needs a plugin that cannot be loaded."""
    return PluginError("this plugin is broken", f"{plugin.name} ({plugin.distribution}): {error}", cure)


class Catalogue:
    """Plugins found by entry point, imported only when somebody asks for what they may have.

    `allow` limits loading to these plugins (default: `TOOLKIT_PLUGINS`, a comma-separated list, else all); `block`
    leaves some out. The built-in plugin is always there.
    """

    def __init__(self, allow: Iterable[str] | None = None, block: Iterable[str] = ()) -> None:
        listed = os.environ.get("TOOLKIT_PLUGINS")
        names = allow if allow is not None else listed.split(",") if listed else None
        self._allow = None if names is None else {name.strip() for name in names}
        self._block = set(block)
        self._left_out: set[str] = set()
        self._loaded: dict[Plugin, Loaded] = {}

    @cached_property
    def plugins(self) -> tuple[Plugin, ...]:
        """All plugins that may be loaded, by name; reads metadata only."""
        found = []
        for entry, distribution, version in _entries(tuple((path, _changed(path)) for path in sys.path)):
            if entry.name == BUILTIN or (
                (self._allow is None or entry.name in self._allow) and entry.name not in self._block
            ):
                found.append(Plugin(entry.name, distribution, version, entry))
            else:
                self._left_out.add(entry.name)
        return tuple(sorted(found, key=lambda p: (p.name, p.distribution)))

    def leaves_out(self, name: str) -> bool:
        """Whether a plugin is installed and not to be loaded."""
        return bool(self.plugins) and name in self._left_out

    def plugin(self, name: str) -> Plugin:
        """The plugin (or, failing that, the distribution) called `name`.

        Raises `UsageError` naming the nearest one or the pip line, or both distributions if two plugins share it.
        """
        same = [p for p in self.plugins if p.name == name and (name != BUILTIN or p.entry.value == MODULE)]
        same = same or [p for p in self.plugins if p.distribution == name]
        if len(same) > 1:
            raise UsageError(
                "two plugins have one name",
                f"{name} in {' and '.join(p.distribution for p in same)}",
                "use the name of the distribution",
            )
        if not same and self.leaves_out(name):
            raise UsageError("this plugin is left out", name, "see --no-plugin and TOOLKIT_PLUGINS")
        if not same:
            known = nearest(name, (p.name for p in self.plugins))
            raise UsageError("no such plugin", name, f"{known} or install the package that has it")
        return same[0]

    def load(self, plugin: Plugin) -> Loaded:
        """Import `plugin` once and call its hooks; errors are recorded, not raised."""
        if plugin not in self._loaded:
            try:
                # Standard output belongs to the results of a command, whatever a plugin prints at import.
                leave = f"if it hangs, leave it out: --no-plugin {plugin.name}, and see seg plugins check {plugin.name}"
                with redirect_stdout(sys.stderr), patience(plugin, leave):
                    items = _items(plugin)
                self._loaded[plugin] = Loaded(plugin, items)
            except KeyboardInterrupt:
                raise
            # A plugin may raise anything at import, SystemExit included; it must not stop the others.
            except BaseException as error:
                text = " ".join(str(error).split()) or "no message"
                kind = "" if isinstance(error, ToolkitError) else f"{type(error).__name__}: "
                cure = lacking(plugin.distribution, error) or Loaded.cure
                self._loaded[plugin] = Loaded(plugin, {}, f"{kind}{text}"[:300], cure)
        return self._loaded[plugin]

    def use(self, name: str) -> Loaded:
        """Load the plugin called `name`; raises `PluginError` if it is broken."""
        loaded = self.load(self.plugin(name))
        if loaded.error:
            raise broken(loaded.plugin, loaded.error, loaded.cure)
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
        having = {self._unique_name(p.plugin): p.items[family] for p in self.healthy() if bare in p.items[family]}
        if len(having) > 1:
            names = " or ".join(f"{plugin}:{bare}" for plugin in having)
            raise UsageError(f"two plugins have this {WORDS[family]}", bare, f"choose {names}")
        for plugin, items in having.items():
            return plugin, items[bare]
        known = {n for p in self.healthy() for n in p.items[family]}
        notes = "".join(f"; note: plugin {b.plugin.name} is broken ({b.error})" for b in self.broken())
        raise UsageError(f"no such {WORDS[family]}", bare, nearest(bare, known) + notes)

    def collect(self, family: Family) -> dict[str, Any]:
        """Everything in a family as `plugin:name` → item, from all healthy plugins."""
        return {
            f"{self._unique_name(p.plugin)}:{n}": item for p in self.healthy() for n, item in p.items[family].items()
        }

    def healthy(self) -> Iterator[Loaded]:
        """All plugins that could be loaded; loads them."""
        return (loaded for loaded in map(self.load, self.plugins) if not loaded.error)

    def broken(self) -> list[Loaded]:
        """The plugins that failed so far; loads nothing."""
        return [loaded for loaded in self._loaded.values() if loaded.error]

    def _unique_name(self, plugin: Plugin) -> str:
        """The name of a plugin, or its distribution's where two plugins have one name."""
        alone = sum(p.name == plugin.name for p in self.plugins) == 1 or plugin.entry.value == MODULE
        return plugin.name if alone else plugin.distribution


@lru_cache(1)
def _entries(places: tuple[tuple[str, int], ...]) -> tuple[tuple[EntryPoint, str, str], ...]:
    """The entry points of all plugins, with name and version of their distributions, in these places, which say when
    they were changed: a process that asks again, for its record or for a worker, reads nothing twice."""
    return tuple(
        (entry, str(entry.dist.name), str(entry.dist.version)) if entry.dist else (entry, "?", "?")
        for entry in entry_points(group=GROUP)
    )


def _changed(place: str) -> int:
    try:
        return Path(place or ".").stat().st_mtime_ns
    except OSError:
        return 0


@contextmanager
def patience(plugin: Plugin, then: str) -> Iterator[None]:
    """Say after a while what is waited for, and what `then`: an import may hang."""
    what = f"the import of plugin {plugin.name} ({plugin.distribution}) takes long; {then}"
    late = Timer(LATE, log.warning, [what])
    late.daemon = True
    late.start()
    try:
        yield
    finally:
        late.cancel()


def _items(plugin: Plugin) -> dict[Family, dict[str, Any]]:
    if plugin.name == BUILTIN and plugin.entry.value != MODULE:
        raise UsageError("the name builtin is taken by the toolkit", plugin.distribution, "rename the entry point")
    return collect(plugin.entry.load(), plugin.name)
