"""YAML of plain data only: no tags, no aliases, small, shallow."""

from __future__ import annotations

import re
from typing import Any

import yaml

MOST_BYTES = 2**20
MOST_EVENTS = 200_000
DEEPEST = 64
_CORE = "tag:yaml.org,2002:"
_TAGS = {_CORE + kind for kind in ("str", "null", "bool", "int", "float", "seq", "map")}
_FLOAT = re.compile(
    r"^(?:[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
)
_INTEGER = re.compile(r"^[-+]?[0-9]{1,18}$")


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # the C loader may be absent
    """The core schema of YAML 1.2: no dates, no yes and no, no base 60, `1e-6` is a number."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  (PyYAML's own name and shape)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        result: dict[Any, Any] = super().construct_mapping(node, deep)
        if len(result) < len(node.value):
            raise yaml.constructor.ConstructorError(None, None, "a key occurs twice", node.start_mark)
        return result


for _kind, _pattern, _first in (
    ("null", re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""]),
    ("bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")),
    ("int", _INTEGER, list("-+0123456789")),
    ("float", _FLOAT, list("-+.0123456789")),
):
    _Loader.add_implicit_resolver(_CORE + _kind, _pattern, _first)
_Loader.add_constructor(_CORE + "int", lambda loader, node: int(loader.construct_scalar(node)))
_Loader.add_constructor(
    _CORE + "float",
    lambda loader, node: float(loader.construct_scalar(node).lower().replace(".inf", "inf").replace(".nan", "nan")),
)


_OLDER = yaml.SafeDumper.yaml_implicit_resolvers


class _Dumper(yaml.SafeDumper):
    """Quotes every text that YAML 1.1 or 1.2 would take for something else, such as `1e3`, `yes` or a date."""

    yaml_implicit_resolvers = {  # noqa: RUF012  (PyYAML's own name and shape)
        first: [*_OLDER.get(first, []), *_Loader.yaml_implicit_resolvers.get(first, [])]
        for first in {*_OLDER, *_Loader.yaml_implicit_resolvers}
    }

    def ignore_aliases(self, data: Any) -> bool:
        return True


class NotPlain(Exception):
    """The text is no YAML, or more than plain data; its words say which."""


def load(data: bytes) -> Any:
    """What the YAML says, of dicts, lists, texts, numbers, booleans and None; raises `NotPlain`.

    Stricter than a safe loader, whose recursion a nest of brackets exhausts and whose aliases grow without bound.
    """
    if len(data) > MOST_BYTES:
        raise NotPlain(f"it has {len(data)} bytes, 1 MB is the most")
    try:
        _check(data)
        return yaml.load(data, Loader=_Loader)  # noqa: S506  (a safe loader, and a stricter one)
    # ValueError and KeyError: a tag that belies its text, `!!int x` or `!!bool x`; bytes that are not UTF-8.
    except (yaml.YAMLError, ValueError, KeyError) as error:
        raise NotPlain(" ".join(str(error).split())[:200]) from error


def dump(data: Any, flow: bool = False) -> str:
    """YAML that `load` reads as `data`; one line in brackets with `flow`."""
    width = 10**6 if flow else 80
    text = yaml.dump(data, None, _Dumper, sort_keys=False, allow_unicode=True, default_flow_style=flow, width=width)
    return str(text).strip() if flow else str(text)


def _check(data: bytes) -> None:
    """The parser of events does not recurse: depth and size are known before anything is built."""
    depth = 0
    for count, event in enumerate(yaml.parse(data, Loader=_Loader)):
        if isinstance(event, yaml.AliasEvent):
            raise NotPlain("it uses aliases")
        tag = getattr(event, "tag", None)
        if tag not in (None, "!", *_TAGS):
            raise NotPlain(f"it uses a tag, {tag}")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST or count > MOST_EVENTS:
            raise NotPlain("it is too deep or too long")
