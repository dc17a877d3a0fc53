"""Plain data changed in one to three places: other values, other types, lost, doubled, exchanged, renamed."""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Iterator
from typing import Any

ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2, 7, 255, 2**16, 2**31, 2**63, 10**30, -(10**9), 0.5, -0.5, 1e-300, 1e300, math.nan,
    math.inf, -math.inf, "", "a", "y", "yx", "x" * 3000, "\x1b]0;x\x07", "\u202e", "[/b]", "../../x", "/etc/passwd",
    "http://127.0.0.1:9/x", "float32", "1", "é", [], {}, [[]], [None], ["a", "a"], [1, 2, 3], [[1, 2], [3, 4]],
    {"a": {}}, {"min": 1, "step": 0}, {"kind": "watershed"}, {"id": "clip", "kwargs": {}},
)  # fmt: skip


def bent(document: Any, rng: random.Random) -> Any:
    """A copy of plain data with one to three changes anywhere in it."""
    made = copy.deepcopy(document)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        made = _once(made, rng)
    return made


def _once(document: Any, rng: random.Random) -> Any:
    places = list(_places(document))
    if not places:
        return rng.choice(ODD)
    parent, key = rng.choice(places)
    value = parent[key]
    match rng.randrange(8):
        case 0:
            del parent[key]
        case 1:
            parent[key] = [value] if rng.random() < 0.5 else {"a": value}
        case 2 if isinstance(parent, list):
            parent.extend([value] * rng.choice((1, 2, 50)))
        case 3:
            other, at = rng.choice(places)
            try:
                parent[key], other[at] = copy.deepcopy(other[at]), copy.deepcopy(value)
            except (KeyError, IndexError):
                parent[key] = rng.choice(ODD)
        case 4 if isinstance(value, (int, float)) and not isinstance(value, bool):
            parent[key] = value * rng.choice((-1, 0, 10**9, 0.5, 1e-9)) + rng.choice((0, 1))
        case 5 if isinstance(value, str) and value:
            at = rng.randrange(len(value))
            parent[key] = value[:at] + rng.choice(("", "\0", " ", "é", "[", value)) + value[at + 1 :]
        case 6 if isinstance(parent, dict):
            parent[str(rng.choice(ODD))[:40]] = parent.pop(key)
        case _:
            parent[key] = copy.deepcopy(rng.choice(ODD))
    return document


def _places(document: Any) -> Iterator[tuple[Any, Any]]:
    """Everything that is in something: the container and the key."""
    todo = [document]
    while todo:
        item = todo.pop()
        keys = list(item) if isinstance(item, dict) else range(len(item)) if isinstance(item, list) else ()
        for key in keys:
            yield item, key
            todo.append(item[key])
