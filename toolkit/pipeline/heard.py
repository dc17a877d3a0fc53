"""What whoever listens hears of the work on one image: stage, how much of it is done, how much there is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

T = TypeVar("T")
Listener = Callable[[str, int, int], None]
"""`(stage, done, total)`; `total` is 0 where nobody knows it."""

_LISTENER: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Tell `listener` of all work of this process until the context ends."""
    token = _LISTENER.set(listener)
    try:
        yield
    finally:
        _LISTENER.reset(token)


def tell(stage: str, done: int = 0, total: int = 0) -> None:
    """Say how far a stage is, if anybody listens."""
    listener = _LISTENER.get()
    if listener is not None:
        listener(stage, done, total)


def each(stage: str, items: Iterable[T], total: int) -> Iterator[T]:
    """The items, each told when it is there."""
    for done, item in enumerate(items, 1):
        tell(stage, done, total)
        yield item
