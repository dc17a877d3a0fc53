"""A dask cluster as a `Map`: its workers do what processes of this machine would, and share a disk with the client."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from socket import create_connection
from threading import Lock
from typing import Any

from toolkit.errors import BlocksFailed, UsageError, about
from toolkit.pipeline.pool import TRIES
from toolkit.pipeline.tools import at_hand

Versions = Callable[[], dict[str, str]]
"""A function of a module: what the result depends on, by name."""
FLIGHT = 2
"""Items in flight for each worker."""
WAIT, KNOCK = "10s", 10.0
PAUSE, PATIENCE = 2.0, 120.0
"""Seconds between two looks at who works, and for which somebody may be waited for."""
PLAIN, OTHER = ("", "tcp", "tls"), ("ucx", "ws", "wss")
"""Schemes of addresses at which anybody can knock, and those that only dask knows how to speak."""
_ONE = Lock()
_made: dict[str, Any] = {}


def reachable(address: str) -> None:
    """Raise `UsageError` unless this is the address of a scheduler, and somebody listens there."""
    scheme, _, place = address.rpartition("://")
    host, _, port = place.rpartition(":")
    if scheme not in (*PLAIN, *OTHER) or not host or not port.isdecimal() or int(port) >= 2**16:
        raise UsageError("this is no address of a scheduler", address, "name one such as tcp://HOST:8786")
    if scheme in OTHER:
        return
    try:
        create_connection((host.strip("[]"), int(port)), KNOCK).close()
    except OSError as error:
        raise UsageError("no scheduler answers", address, "start one with dask scheduler, or name another") from error


@contextmanager
def cluster(
    address: str, make: Callable[[], Any], versions: Callable[[], dict[str, str]]
) -> Iterator[Callable[..., Any]]:
    """A `Map` over the workers of the scheduler at `address`, such as tcp://HOST:8786.

    Raises `UsageError` if dask is not installed, if nobody is there, or if `versions()` differs between a worker and
    here; later `BlocksFailed` where an item killed every worker that tried it, or the scheduler is lost.
    """
    if find_spec("distributed") is None:
        raise UsageError(
            "a cluster needs dask, which is not installed", "--scheduler", "pip install 'seg-toolkit[dask]'"
        )
    from distributed import Client

    reachable(address)
    try:
        client = Client(address, timeout=WAIT, set_as_default=False)
    except (OSError, ValueError) as error:
        raise UsageError("no scheduler answers", address, "start one with dask scheduler, or name another") from error
    try:
        _agree(client, address, versions)
        yield lambda fn, items: _run(client, address, make, fn, items)
    finally:
        client.close(timeout=5)


def _agree(client: Any, address: str, versions: Versions) -> None:
    """Refuse a cluster without workers, or with workers that would compute something else."""
    theirs = client.run(versions)
    if not theirs:
        raise UsageError("the cluster has no workers", address, "start some with dask worker")
    mine = versions()
    for worker, has in theirs.items():
        for name in sorted({*mine, *has}):
            if mine.get(name) != has.get(name):
                raise UsageError(
                    f"a worker has another {name}", f"{worker}: {has.get(name)}, here {mine.get(name)}",
                    "install the same on both",
                )  # fmt: skip


def _run(
    client: Any, address: str, make: Callable[[], Any], fn: Callable[[Any], Any], items: Iterable[Any]
) -> Iterator[Any]:
    from distributed import KilledWorker
    from distributed.client import FutureCancelledError
    from distributed.comm import CommClosedError

    flying: deque[tuple[Any, Any]] = deque()
    source, open_ = iter(items), True
    try:
        while open_ or flying:
            most = FLIGHT * max(1, len(_workers(client)))
            while open_ and len(flying) < most:
                try:
                    item = next(source)
                except StopIteration:
                    open_ = False
                    break
                flying.append((item, client.submit(_there, make, fn, item, pure=False, retries=TRIES - 1)))
            if not flying:
                return
            item, future = flying.popleft()
            with about(item):
                found = _result(client, address, future)
            yield found
    except KilledWorker as error:
        with about(item):
            raise BlocksFailed(f"{item} killed every worker that tried it", address, "use a smaller --block") from error
    except (CommClosedError, FutureCancelledError, TimeoutError) as error:
        raise BlocksFailed("the scheduler is lost", address, "start it again, then the run with --resume") from error
    finally:
        for _, future in flying:
            future.cancel()


def _result(client: Any, address: str, future: Any) -> Any:
    """What came of an item. Raises `BlocksFailed` where a cluster has been without workers for some time."""
    alone = 0.0
    while True:
        try:
            return future.result(timeout=PAUSE)
        except TimeoutError:
            if future.done():  # in this moment; or the error is its own
                return future.result()
            alone = 0.0 if _workers(client) else alone + PAUSE
            if alone > PATIENCE:
                raise BlocksFailed(
                    "the cluster has no workers any more", address, "start some, then the run with --resume"
                ) from None


def _workers(client: Any) -> Mapping[str, Any]:
    """Those who work for a cluster; of a scheduler that does not answer nothing is known."""
    found: Mapping[str, Any] = client.scheduler_info(n_workers=-1).get("workers", {})
    return found


def _there(make: Callable[[], Any], fn: Callable[[Any], Any], item: Any) -> Any:
    """Do an item in a worker: one at a time, with tools that the process keeps."""
    with _ONE:
        key = repr(make)
        if key not in _made:
            _made.clear()
            _made[key] = make()
        with at_hand(lambda: _made[key]):
            return fn(item)
