"""What the functions of a `Map` work with, in each process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


@dataclass
class _Tools:
    """What the functions of a `Map` work with: made where and when the first of them asks."""

    make: Callable[[], Any]
    made: Any = None


_AT_HAND: list[_Tools] = []


def tools() -> Any:
    """What `workers(count, make)` makes: once in each process that works for it, in this one if it works alone."""
    mine = _AT_HAND[-1]
    if mine.made is None:
        mine.made = mine.make()
    return mine.made


@contextmanager
def at_hand(make: Callable[[], Any] | None) -> Iterator[None]:
    """Have at hand in this process what `make` makes."""
    if make is not None:
        _AT_HAND.append(_Tools(make))
    try:
        yield
    finally:
        if make is not None:
            _AT_HAND.pop()
