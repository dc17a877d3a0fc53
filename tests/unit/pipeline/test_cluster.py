"""A dask cluster of this machine does what processes do, and survives what they survive."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from toolkit.errors import BlocksFailed, InputError, UsageError
from toolkit.pipeline.cluster import cluster, reachable
from toolkit.pipeline.tools import tools

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    from distributed import LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=2, processes=True, dashboard_address=None) as here:
        yield here.scheduler_address


def same() -> dict[str, str]:
    return {"numpy": "1"}


def other() -> dict[str, str]:
    return {"numpy": str(os.getpid())}


def bench() -> list[int]:
    return [os.getpid()]


def work(folder: Path, number: int) -> tuple[int, int, int]:
    """Kills its worker once where it is told to; how many others worked in this process meanwhile."""
    if number == 5 and not (folder / "died").exists():
        (folder / "died").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    mine = folder / f"{os.getpid()}.{number}"
    mine.touch()
    time.sleep(0.02)
    busy = len(list(folder.glob(f"{os.getpid()}.*")))
    mine.unlink()
    assert tools() == [os.getpid()]
    return number, os.getpid(), busy


def bad(number: int) -> int:
    raise InputError("this is no image", "b.tif", "check the file")


def poison(number: int) -> int:
    if number == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def test_results_come_in_order_one_item_at_a_time_though_a_worker_was_killed(address: str, tmp_path: Path) -> None:
    with cluster(address, bench, same) as run:
        found = list(run(partial(work, tmp_path), range(20)))
    assert (tmp_path / "died").exists()
    assert [number for number, *_ in found] == list(range(20))
    assert {busy for *_, busy in found} == {1}
    assert os.getpid() not in {process for _, process, _ in found}


def test_a_sentence_of_a_worker_arrives_as_it_was(address: str) -> None:
    with cluster(address, bench, same) as run, pytest.raises(InputError, match=r"this is no image: b\.tif"):
        list(run(bad, range(3)))


def test_an_item_that_kills_every_worker_is_named(address: str) -> None:
    with cluster(address, bench, same) as run, pytest.raises(BlocksFailed, match="1 killed every worker"):
        list(run(poison, range(4)))


def test_workers_of_other_versions_are_refused(address: str) -> None:
    from distributed import Client

    with Client(address, set_as_default=False) as client:
        client.wait_for_workers(2)  # some were killed before
    with (
        pytest.raises(UsageError, match="a worker has another numpy"),
        cluster(address, bench, other),
    ):
        pass


def test_where_no_scheduler_is_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toolkit.pipeline.cluster.WAIT", "1s")
    with (
        pytest.raises(UsageError, match="no scheduler answers"),
        cluster("tcp://127.0.0.1:9", bench, same),
    ):
        pass


@pytest.mark.parametrize("address", ["nonsense", "http://here:1", "tcp://here", "tcp://:8786", "tcp://a:99999"])
def test_what_is_no_address_of_a_scheduler_is_refused_at_once(address: str) -> None:
    with pytest.raises(UsageError, match="no address of a scheduler"):
        reachable(address)
