"""What a model of pydantic refuses, in words and names of recipes: no name of a Python type."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

EXPECTED = "input should be "
KINDS = {
    "tuple_type": "a list, such as [1, 2]",
    "list_type": "a list, such as [1, 2]",
    "dict_type": "a section with fields",
    "model_type": "a section with fields",
    "mapping_type": "a section with fields",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "string_type": "text",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
}
"""What would have been right, for the kinds of faults whose message names a type."""


def place(path: Iterable[Any]) -> tuple[str, ...]:
    """Fields and numbers of the way to a fault; steps through unions and validators are nobody's names."""
    return tuple(str(step) for step in path if isinstance(step, int) or (isinstance(step, str) and step.isidentifier()))


def sentence(errors: Iterable[Mapping[str, Any]]) -> str:
    """What was expected where the first fault is; where several things would do, all of them."""
    first, *others = errors
    field, union = place(first["loc"])[:1], len(place(first["loc"])) < len(first["loc"])
    others = [fault for fault in others if union and place(fault["loc"])[:1] == field]
    said = dict.fromkeys(_said(fault) for fault in (first, *others))
    if all(text.startswith(EXPECTED) for text in said):
        return EXPECTED + ", or ".join(text.removeprefix(EXPECTED) for text in said)
    return next(iter(said))


def _said(fault: Mapping[str, Any]) -> str:
    if fault["type"] in KINDS:
        return EXPECTED + KINDS[fault["type"]]
    what = str(fault["msg"]).removeprefix("Value error, ")
    return what[:1].lower() + what[1:]
