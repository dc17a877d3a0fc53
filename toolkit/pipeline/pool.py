"""Processes that work on items one by one, of which any may die."""

from __future__ import annotations

import os
import signal
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from threading import Thread
from typing import Any

from toolkit.errors import BlocksFailed, OutOfMemory, about, scarce
from toolkit.gpu.memory import available, held_by
from toolkit.pipeline.tools import at_hand

GRACE = 0.5
"""Seconds for which a worker goes on after Ctrl-C."""
TRIES = 3
"""So often an item is tried whose process dies, or runs out of memory."""
WATCH = 1.0
"""Seconds between two looks at how much memory is free."""
LOW = 2**28
"""Bytes of free memory below which a process that holds four times as much is ended before the system does so."""
LEAD = 4
"""Items for each worker that are begun before the first of them is done."""


@dataclass
class Item:
    """What is to be done, and how often that was tried."""

    number: int
    what: Any
    tries: int = 0


class Hand:
    """A process, and the item that it works on."""

    def __init__(self, make: Callable[[], Any] | None) -> None:
        context = get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, make))
        self.process.start()
        theirs.close()
        self.item: Item | None = None

    def give(self, fn: Callable[[Any], Any], item: Item) -> None:
        self.item = item
        item.tries += 1
        with suppress(BrokenPipeError, ConnectionResetError):  # it has died, as will be seen
            self.pipe.send((fn, item.what))

    def end(self) -> None:
        """At once: whatever it was at can be done again."""
        self.process.kill()
        self.process.join()
        self.pipe.close()


class Pool:
    """`count` fresh processes, which live until `end` or until this process ends."""

    def __init__(self, count: int, make: Callable[[], Any] | None = None) -> None:
        self._make, self._begun = make, 0
        self._hands = [Hand(make) for _ in range(count)]

    def run(self, fn: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        """A `Map`. An item whose process dies is done again by a new one, the last time while the others rest.

        Raises `BlocksFailed` with the name of an item, `str(item)`, that has failed three times.
        """
        source = (Item(number, what) for number, what in enumerate(items))
        again: deque[Item] = deque()
        done: dict[int, Any] = {}
        at = self._begun = 0
        try:
            while True:
                while at in done:
                    yield done.pop(at)
                    at += 1
                self._feed(fn, source, again, at + LEAD * len(self._hands))
                if not self._busy():
                    return
                for item, found in self._heard():
                    if isinstance(found, BaseException):
                        again.append(_again(item, found))
                    else:
                        done[item.number] = found[0]
        finally:
            for n, hand in enumerate(self._hands):
                if hand.item is not None:  # nobody waits for it any more
                    self._replace(n)

    def end(self) -> None:
        for hand in self._hands:
            hand.end()

    def _busy(self) -> list[Hand]:
        return [hand for hand in self._hands if hand.item is not None]

    def _feed(self, fn: Callable[[Any], Any], source: Iterator[Item], again: deque[Item], most: int) -> None:
        """Give idle hands work, none beyond `most` items. One on its last try has the others idle."""
        if any(hand.item is not None and hand.item.tries == TRIES for hand in self._hands):
            return
        for hand in self._hands:
            if hand.item is not None:
                continue
            if again and (again[0].tries < TRIES - 1 or not self._busy()):
                hand.give(fn, again.popleft())
                if hand.item is not None and hand.item.tries == TRIES:
                    return
            elif not again:
                item = next(source, None) if self._begun < most else None
                if item is None:
                    return
                self._begun += 1
                hand.give(fn, item)

    def _heard(self) -> Iterator[tuple[Item, Any]]:
        """Items and `(result,)`, or the error, of the hands that have come to an end, if any."""
        ready = wait([hand.pipe for hand in self._busy()], WATCH)
        if not ready and available() < LOW:
            yield from self._relieved()
        for n, hand in enumerate(self._hands):
            if hand.pipe not in ready or hand.item is None:
                continue
            item = hand.item
            try:
                found, error = hand.pipe.recv()
            except (EOFError, OSError):
                died = BlocksFailed("a worker process died")
                hand.process.join()
                died.killed = hand.process.exitcode == -signal.SIGKILL
                self._replace(n)
                yield item, died
                continue
            hand.item = None
            yield item, (found,) if error is None else error

    def _relieved(self) -> Iterator[tuple[Item, Any]]:
        """Take its item from the hand that holds most memory, if that is much."""
        held, n = max((held_by(hand.process.pid or 0), n) for n, hand in enumerate(self._hands) if hand.item)
        item = self._hands[n].item
        if held > 4 * LOW and item is not None:
            self._replace(n)
            yield item, OutOfMemory("memory is nearly used up", str(item.what))

    def _replace(self, n: int) -> None:
        self._hands[n].end()
        self._hands[n] = Hand(self._make)


def _again(item: Item, error: BaseException) -> Item:
    """The item, to be done again; raises the error of one that is of no use to try, or was tried too often."""
    if (isinstance(error, BlocksFailed) or scarce(error)) and item.tries < TRIES:
        return item
    with about(item.what):
        if isinstance(error, BlocksFailed):
            failed = BlocksFailed(
                f"{item.what} failed {TRIES} times: {error}",
                do="most often memory ran out: use a smaller --block, or fewer --workers",
            )
            failed.killed = error.killed
            raise failed from error
        raise error


def _serve(pipe: Connection, make: Callable[[], Any] | None) -> None:
    """What a worker process does."""
    _attend()
    with at_hand(make):
        while True:
            try:
                fn, what = pipe.recv()
            except EOFError:
                return
            try:
                answer: tuple[Any, BaseException | None] = fn(what), None
            except Exception as error:  # any fault of an item is its client's to judge
                error.add_note("".join(traceback.format_exception(error)))
                answer = None, error
            try:
                pipe.send(answer)
            except (TypeError, ValueError, AttributeError) as error:
                pipe.send((None, TypeError(f"{type(answer[1] or answer[0]).__name__} cannot be sent: {error}")))


def _attend() -> None:
    """Let this worker end in silence on Ctrl-C or when the terminal is closed, and with the process that started it,
    even if that was killed."""
    # Those that are ignored are not meant for a job in the background.
    ends = {one for one in (signal.SIGINT, signal.SIGHUP) if signal.getsignal(one) != signal.SIG_IGN}
    if ends:
        signal.pthread_sigmask(signal.SIG_BLOCK, ends)
        Thread(target=_end, args=(ends,), daemon=True).start()
    parent = parent_process()
    assert parent is not None, "workers are started by somebody"

    def follow() -> None:
        parent.join()
        os._exit(1)

    Thread(target=follow, daemon=True).start()


def _end(ends: set[signal.Signals]) -> None:
    """End after such a signal, but not before the process that started this one has heard of it, too."""
    signal.sigwait(ends)
    time.sleep(GRACE)
    os._exit(1)
