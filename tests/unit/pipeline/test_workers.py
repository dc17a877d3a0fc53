from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from toolkit.errors import BlocksFailed, InputError, OutOfMemory
from toolkit.gpu.cores import cores
from toolkit.gpu.memory import held_by
from toolkit.pipeline import pool
from toolkit.pipeline.pool import LEAD
from toolkit.pipeline.workers import processes, serial, workers


def late(delay: float, number: int) -> tuple[int, int]:
    """The number and who worked on it; small numbers take long."""
    time.sleep(delay / (number + 1))
    return number, os.getpid()


def fail(number: int) -> int:
    if number == 2:
        raise InputError("this is no image", "b.tif", "check the file")
    return number


def die(number: int) -> int:
    if number == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def test_results_come_in_the_order_of_the_items_from_other_processes() -> None:
    with processes(2) as run:
        found = list(run(partial(late, 0.3), range(5)))
    assert [n for n, _ in found] == [0, 1, 2, 3, 4]
    assert os.getpid() not in {p for _, p in found}
    assert len({p for _, p in found}) == 2


def test_one_worker_is_this_process() -> None:
    with workers(1) as run:
        assert run is serial
        assert [p for _, p in run(partial(late, 0), range(2))] == [os.getpid()] * 2
    assert cores() >= 1


def test_a_sentence_of_a_worker_arrives_as_it_was() -> None:
    with workers(2) as run, pytest.raises(InputError) as caught:
        list(run(fail, range(4)))
    assert str(caught.value) == "this is no image: b.tif; check the file"
    assert caught.value.exit_code == 5


def test_an_item_whose_worker_dies_three_times_is_named() -> None:
    with workers(2) as run, pytest.raises(BlocksFailed, match=r"1 failed 3 times: a worker process died; .* --block"):
        list(run(die, range(4)))


def tried(folder: Path, how: str, number: int) -> tuple[int, int]:
    """Fails twice on number 3; gives how often it was tried, and how many others worked on something meanwhile."""
    mine = folder / f"{number}.{os.getpid()}.{time.monotonic_ns()}"
    mine.touch()
    count = len(list(folder.glob(f"{number}.*")))
    if number == 3 and count < 3:
        if how == "dies":
            os.kill(os.getpid(), signal.SIGKILL)
        raise MemoryError
    (at_work := folder / f"at work {number}").touch()
    time.sleep(0.05)
    others = len(list(folder.glob("at work *"))) - 1
    at_work.unlink()
    return count, others


@pytest.mark.slow
@pytest.mark.parametrize("how", ["dies", "memory"])
def test_an_item_that_fails_is_done_again_the_last_time_alone_and_no_other_is(tmp_path: Path, how: str) -> None:
    with processes(3) as run:
        found = list(run(partial(tried, tmp_path, how), range(12)))
        assert found[3] == (3, 0)
        assert [count for n, (count, _) in enumerate(found) if n != 3] == [1] * 11
        assert [n for n, _ in run(partial(late, 0.01), range(4))] == [0, 1, 2, 3], "the pool goes on"


def greedy(folder: Path, number: int) -> int:
    """Number 1 waits for somebody to end it, once."""
    if number == 1 and not (folder / "process").exists():
        (folder / "process").write_text(str(os.getpid()))
        time.sleep(60)
    return number


def test_the_worker_that_holds_most_is_ended_before_memory_is_used_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = tmp_path / "process"
    monkeypatch.setattr(pool, "WATCH", 0.05)
    monkeypatch.setattr(pool, "available", lambda: 0)
    monkeypatch.setattr(
        pool, "held_by", lambda pid: 2**40 if process.exists() and process.read_text() == str(pid) else 0
    )
    began = time.monotonic()
    with processes(2) as run:
        assert list(run(partial(greedy, tmp_path), range(4))) == [0, 1, 2, 3]
    assert time.monotonic() - began < 50
    monkeypatch.setattr(pool, "held_by", lambda pid: 2**40)
    with processes(2) as run, pytest.raises(OutOfMemory, match=r"nearly used up: (0|500)") as caught:
        list(run(partial(late, 60), [0, 500]))
    assert caught.value.item in (0, 500)


@pytest.mark.linux
def test_what_a_process_holds_is_known() -> None:
    assert 2**20 < held_by(os.getpid()) < 2**40
    assert held_by(2**30) == 0


def counted(folder: Path, number: int) -> int:
    (folder / str(number)).touch()
    return number


def test_no_more_is_begun_than_a_few_items_for_each_worker(tmp_path: Path) -> None:
    with processes(2) as run:
        results = run(partial(counted, tmp_path), range(1000))
        assert next(results) == 0
        time.sleep(0.5)
        assert len(list(tmp_path.iterdir())) <= LEAD * 2
        results.close()
        assert list(run(fail, range(2))) == [0, 1], "what nobody waits for is dropped"


def test_what_cannot_be_sent_back_is_an_error() -> None:
    with processes(1) as run, pytest.raises(TypeError, match="function cannot be sent"):
        list(run(unsendable, [0]))


def unsendable(number: int) -> object:
    return lambda: number


CROWD = """
import signal, sys, time
from functools import partial
from pathlib import Path
from toolkit.pipeline.pool import LEAD
from toolkit.pipeline.workers import processes

def work(seconds, number):
    import os, time
    os.write(1, f"{os.getpid()}\\n".encode())  # at once: others write beside it
    time.sleep(seconds)

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # tests in the background ignore it
    with processes(2) as run:
        list(run(partial(work, 0.5), range(2)))
        list(run(partial(work, 60), range(1)))  # the other one has nothing to do
"""


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.linux
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_workers_end_with_the_process_that_started_them(tmp_path, how: signal.Signals) -> None:
    script = tmp_path / "crowd.py"
    script.write_text(CROWD)
    parent = subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, process_group=0
    )
    assert parent.stdout is not None
    children = {int(parent.stdout.readline()) for _ in range(3)}
    assert len(children) == 2
    if how == signal.SIGKILL:
        parent.kill()
    else:
        os.killpg(parent.pid, how)  # as Ctrl-C does
    assert parent.wait(20) != 0
    deadline = time.monotonic() + 20
    while any(map(alive, children)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(alive, children))
    _, errors = parent.communicate()
    assert errors.count("Traceback") <= (1 if how == signal.SIGINT else 0)  # the parent's own
