"""Call the hooks of an imported plugin module and look at what they return."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from inspect import isabstract, isfunction
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, get_args

import pluggy

from toolkit.errors import PluginError, nearest
from toolkit.plugins import API, PROJECT, hookspecs
from toolkit.plugins.metric import Metric
from toolkit.plugins.specs import Loss, Network, PostProcessor

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

FORMS: dict[Family, str] = {"postprocessors": "postprocessor", "metrics": "metric"}
"""What makes a spec of a function."""

MOVING = "docs/moving-to-api-2.md"
"""The page that tells how to move a plugin to this API."""


def collect(module: ModuleType, plugin: str) -> dict[Family, dict[str, Any]]:
    """What the plugin module brings: family → name → class or recipe file.

    Each plugin has a manager of its own, so that nothing it registers can disturb another. Raises `PluginError`, or
    whatever a hook raises.
    """
    api = getattr(module, "SEG_API", None)
    if api != API:
        has = "does not say SEG_API" if api is None else f"is written for SEG_API {api}"
        raise PluginError(f"the plugin {has}", plugin, f"this toolkit has SEG_API {API}: see {MOVING}")
    _refuse_unknown_hooks(module)
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(hookspecs)
    manager.register(module, plugin)
    try:
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise PluginError("a hook is unknown", plugin, str(error)) from error
    hooks: dict[Family, list[Callable[[], Any]]] = {
        family: [implementation.function for implementation in getattr(manager.hook, f"seg_{family}").get_hookimpls()]
        for family in FAMILIES
    }
    return {family: _family(family, [hook() for hook in hooks[family]], plugin) for family in FAMILIES}


def _refuse_unknown_hooks(module: ModuleType) -> None:
    """A function that looks like a hook is misspelt or lacks its mark, and pluggy would pass over it in silence."""
    known = {f"seg_{family}" for family in FAMILIES}
    for name, value in vars(module).items():
        if not name.startswith("seg_") or not callable(value):
            continue
        if name not in known:
            raise PluginError("no such hook", name, f"{nearest(name, known)}; names that begin with seg_ are hooks")
        if not hasattr(value, f"{PROJECT}_impl"):
            raise PluginError("this hook is not marked", name, "write @hookimpl above it")


def _family(family: Family, results: list[Any], plugin: str) -> dict[str, Any]:
    items: dict[str, Any] = {}
    for result in results:
        if isinstance(result, str | bytes) or not isinstance(result, Iterable):
            raise PluginError(f"seg_{family} returned no sequence", _named(result), "return them in a tuple: (…,)")
        for item in result:
            name, value = _recipe(item) if family == "recipes" else _spec(family, item)
            if name in items:
                raise PluginError(f"the plugin has two of one {WORDS[family]}", f"{plugin}:{name}", "rename one")
            items[name] = value
    return Items(items)


class Items(dict[str, Any]):
    """What a plugin has of a family, by name; a spec is found by its former names, too, which are not listed."""

    def __missing__(self, name: str) -> Any:
        for spec in self.values():
            if name in getattr(spec, "aliases", ()):
                return spec
        raise KeyError(name)

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or any(name in getattr(spec, "aliases", ()) for spec in self.values())


def _named(item: Any) -> str:
    """A class or function by its name, anything else as it is written."""
    return str(getattr(item, "__qualname__", repr(item)[:80]))


def _recipe(item: Any) -> tuple[str, Path]:
    if not isinstance(item, str | Path):
        raise PluginError("seg_recipes returned something that is no path", repr(item)[:80], "see docs/hooks.md")
    path = Path(item)
    if not path.is_file():
        raise PluginError("a recipe is missing", path, "the plugin's wheel must contain it")
    return path.stem, path


def _spec(family: Family, item: Any) -> tuple[str, Any]:
    wanted: Any = FAMILIES[family]
    if not (isinstance(item, type) and issubclass(item, wanted)):
        cure = "return the class itself, not an instance of it" if isinstance(item, wanted) else "see docs/hooks.md"
        cure = f"write @{FORMS[family]}(…) above it" if isfunction(item) and family in FORMS else cure
        raise PluginError(f"seg_{family} returned no {wanted.__name__} class", _named(item), cure)
    spec: Any = item
    if isabstract(spec):
        lacking = ", ".join(sorted(spec.__abstractmethods__))
        raise PluginError("a class is not complete", spec.__name__, f"it lacks {lacking}")
    kind = spec.model_fields["kind"]
    if get_args(kind.annotation) != (kind.default,):
        example = f'kind: Literal["{spec.__name__.lower()}"] = "{spec.__name__.lower()}"'
        raise PluginError("a class does not fix its kind", spec.__name__, f"write {example}")
    return str(kind.default), spec
