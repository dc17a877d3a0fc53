"""Ways to do the work of many blocks: functions with one signature, `Map`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from toolkit.errors import about
from toolkit.pipeline.pool import Pool
from toolkit.pipeline.tools import at_hand

Map = Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[Any]]
"""`(fn, items) -> results in the order of the items`. `fn` is a function of a module or a partial of one."""


def serial(fn: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
    """One item after the other, in this process."""
    for item in items:
        with about(item):
            found = fn(item)
        yield found


@contextmanager
def processes(count: int, make: Callable[[], Any] | None = None) -> Iterator[Map]:
    """`count` fresh processes, which live until the context or this process ends."""
    pool = Pool(count, make)
    try:
        yield pool.run
    finally:
        pool.end()


@contextmanager
def workers(count: int, make: Callable[[], Any] | None = None) -> Iterator[Map]:
    """`serial` for one worker, else that many processes. Functions find what `make` makes by `tools()`."""
    if count > 1:
        with processes(count, make) as run:
            yield run
        return
    with at_hand(make):
        yield serial
