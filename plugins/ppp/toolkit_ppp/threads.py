"""Work on independent parts in threads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import parent_process
from typing import TypeVar

from toolkit.api import cores

S = TypeVar("S")
T = TypeVar("T")


def default_threads() -> int:
    """All cores in the main process; one in a worker process, whose siblings use the others."""
    return cores() if parent_process() is None else 1


def run(work: Callable[[S], T], parts: Sequence[S], threads: int) -> list[T]:
    """`work` on each part; its results in their order."""
    if threads == 1 or len(parts) < 2:
        return [work(part) for part in parts]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, parts))
