"""Ways to do the work of many blocks: functions with one signature, `Map`."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from threading import Thread
from typing import Any

from toolkit.errors import BlocksFailed

Map = Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[Any]]
"""`(fn, items) -> results in the order of the items`. `fn` is a function of a module or a partial of one."""

GRACE = 0.5
"""Seconds for which a worker goes on after Ctrl-C."""


def serial(fn: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
    """One item after the other, in this process."""
    return map(fn, items)


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
def processes(count: int, make: Callable[[], Any] | None = None) -> Iterator[Map]:
    """`count` fresh processes, which live until the context or this process ends."""
    pool = ProcessPoolExecutor(count, mp_context=get_context("spawn"), initializer=_attend, initargs=(make,))

    def run(fn: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        try:
            yield from pool.map(fn, items)
        except BrokenProcessPool as error:
            raise BlocksFailed(
                "a worker process died", do="most often memory ran out: use fewer --workers or a smaller --block"
            ) from error

    try:
        yield run
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _attend(make: Callable[[], Any] | None) -> None:
    """Have at hand what this worker works with. Let it end in silence on Ctrl-C, and with the process that started it,
    even if that was killed."""
    if make is not None:
        _AT_HAND.append(_Tools(make))
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        pass  # a job in the background, which Ctrl-C is not meant for
    elif hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        Thread(target=_end, daemon=True).start()
    else:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    parent = parent_process()
    assert parent is not None, "workers are started by somebody"

    def follow() -> None:
        parent.join()
        os._exit(1)

    Thread(target=follow, daemon=True).start()


def _end() -> None:
    """End after Ctrl-C, but not before the process that started this one has heard of it, too."""
    signal.sigwait({signal.SIGINT})
    time.sleep(GRACE)
    os._exit(1)


@contextmanager
def workers(count: int, make: Callable[[], Any] | None = None) -> Iterator[Map]:
    """`serial` for one worker, else that many processes. Functions find what `make` makes by `tools()`."""
    if count > 1:
        with processes(count, make) as run:
            yield run
        return
    if make is not None:
        _AT_HAND.append(_Tools(make))
    try:
        yield serial
    finally:
        if make is not None:
            _AT_HAND.pop()
