"""Safe YAML: plain data only, no aliases, small, shallow."""

from __future__ import annotations

import re
from typing import Any

import yaml

from toolkit.errors import ModelError
from toolkit.registry.gate import refusing

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


def parse(data: bytes, where: object) -> dict[str, Any]:
    """The mapping that YAML bytes hold; raises `ModelError` for anything that is not small plain data."""
    if len(data) > MOST_BYTES:
        raise ModelError("this description is too large", f"{where}: {len(data)} bytes", "1 MB is the most")
    with refusing("this description is not valid YAML", where):
        _check(data, where)
        document = yaml.load(data, Loader=_Loader)  # noqa: S506  (a safe loader, and a stricter one)
    if not isinstance(document, dict) or not all(isinstance(key, str) for key in document):
        raise ModelError("this description is not a mapping", where, "get the model again from its author")
    return document


def _check(data: bytes, where: object) -> None:
    """The parser of events does not recurse: depth and size are known before anything is built."""
    depth, do = 0, "a model description needs plain data only"
    for count, event in enumerate(yaml.parse(data, Loader=_Loader)):
        if isinstance(event, yaml.AliasEvent):
            raise ModelError("this description uses YAML aliases", where, do)
        tag = getattr(event, "tag", None)
        if tag not in (None, "!", *_TAGS):
            raise ModelError("this description uses a YAML tag", f"{where}: {tag}", do)
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST or count > MOST_EVENTS:
            raise ModelError("this description is too deep or too long", where, do)
