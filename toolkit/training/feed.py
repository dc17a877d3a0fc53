"""Batches ahead of the steps that take them, made by a thread, or by as many processes as pay."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from math import ceil
from statistics import median

from toolkit.gpu.cores import cores
from toolkit.training.data import Batch, Crops
from toolkit.training.feeder import Feeder

LOOK = 8
"""After so many steps it is known whether crops or the network take longer."""
MARGIN = 1.25
"""Processes disturb each other: so many times more than the seconds say."""

Batches = tuple[Batch, ...]


def wanted(making: float, step: float, most: int) -> int:
    """How many processes make crops as fast as steps take them; 0 where the thread does."""
    return 0 if making <= step else min(most, ceil(MARGIN * making / step))


class Feed(AbstractContextManager["Feed"]):
    """`feed(n)` gives the batches of step n; steps are asked for in order. They are the same whoever makes them.

    `most` processes at most (default: the cores), whose recipe is looked up in the plugin `owner` first.
    """

    def __init__(
        self,
        crops: Crops,
        owner: str | None = None,
        most: int | None = None,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.crops, self._owner, self._say = crops, owner, say
        self._most = cores() if most is None else most
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="crops")
        self._feeders: list[Feeder] = []
        self._coming: deque[tuple[int, Future[Batches | None]]] = deque()
        self._making: list[float] = []
        self._taking: list[float] = []
        self._given = 0.0

    def __call__(self, step: int) -> Batches:
        """The batches of a step; when this returns, those of the next ones are in the making."""
        if self._given:
            self._taking.append(time.perf_counter() - self._given)
        if len(self._taking) == LOOK:
            self._decide()
        self._order(step)
        batches = self._coming.popleft()[1].result() or self._make(step)
        self._order(step + 1)
        self._given = time.perf_counter()
        return batches

    def __exit__(self, *_: object) -> None:
        for feeder in self._feeders:
            feeder.close()
        self._thread.shutdown(cancel_futures=True)

    def _order(self, first: int) -> None:
        """Have the steps from `first` on made, as many as there is somebody to make them."""
        for step in range(self._coming[-1][0] + 1 if self._coming else first, first + max(1, len(self._feeders))):
            feeder = self._feeders[step % len(self._feeders)] if self._feeders else None
            self._coming.append((step, feeder.ask(step) if feeder else self._thread.submit(self._make, step)))

    def _make(self, step: int) -> Batches:
        began = time.perf_counter()
        batches = self.crops.batches(step)
        self._making.append(time.perf_counter() - began)
        return batches

    def _decide(self) -> None:
        """Let processes take over from the thread if it is the slower side."""
        count = wanted(median(self._making), median(self._taking), self._most)
        if not count:
            return
        self._feeders = [Feeder(self.crops, self._owner, count) for _ in range(count)]
        if all(feeder.ready.result() for feeder in self._feeders):
            self._say(f"crops  made by {count} process{'es'[: 2 * (count > 1)]}: the network would wait for a thread")
            return
        for feeder in self._feeders:
            feeder.close()
        self._feeders = []
