"""Battery G: workers of a cluster are killed while a run goes on, and its scheduler is lost."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread

import pytest

from tests.battery.resumed import content
from tests.flow import poisoned
from toolkit.cli import main
from toolkit.io import pyramid, tifflabels
from toolkit.pipeline import cluster as module

pytestmark = [pytest.mark.slow, pytest.mark.linux]

CLUSTER = """
import sys
from distributed import LocalCluster

if __name__ == "__main__":
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as here:
        print(here.scheduler_address, flush=True)
        sys.stdin.read()
"""
Start = Callable[..., list[str]]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The words of a run, whose labels are in several shards; its result without a cluster is in `whole`."""
    for name, value in (("SHARD", {2: (64, 64)}), ("CHUNK", {2: (32, 64)}), ("SMALLEST", 64)):
        monkeypatch.setattr(pyramid, name, value)
    monkeypatch.setattr(tifflabels, "SLAB", 2000)
    monkeypatch.setattr(tifflabels, "STRIP", 900)
    words = [*poisoned.install(tmp_path, monkeypatch), "a.tif"]
    assert main([*words, "-o", "whole", "--workers", "1"]) == 0
    (tmp_path / "died").mkdir()
    (tmp_path / "cluster.py").write_text(CLUSTER)
    return words


@contextmanager
def cluster(**environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A cluster of two workers of this machine, and its address."""
    path = os.pathsep.join([str(Path("site").absolute()), os.environ.get("PYTHONPATH", "")])
    with subprocess.Popen(
        [sys.executable, "cluster.py"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        text=True, env={**os.environ, "PYTHONPATH": path, **environment}, process_group=0,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline().strip()
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.parametrize("times", [1, 3, 10])
def test_workers_that_are_killed_cost_their_blocks_and_no_byte(
    here: list[str], times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    died, code = Path("died"), 8
    monkeypatch.setattr(module, "PATIENCE", 4.0)
    for _ in range(5):  # so many deaths that a window is taken for poison, or that nobody is left
        with cluster(AT="window", HOW="some", TIMES=str(times), DIED=str(died.absolute())) as (_, address):
            code = main([*here, "-o", "out", "--scheduler", address, "--resume"])
        if code != 8 or times == 1:
            break
    assert code == 0
    assert len(list(died.iterdir())) == times
    assert content(Path("out")) == content(Path("whole"))


def test_a_block_that_kills_every_worker_is_named_and_left_out(
    here: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    with cluster(AT="block", HOW="killed") as (_, address):
        assert main([*here, "-o", "out", "--scheduler", address]) == 8
        said = capfd.readouterr().err.splitlines()[-1]
        assert "block 2 [50:100, 0:66] in pass 1 killed every worker that tried it" in said
        assert "or leave it out with --skip-block 50:100,0:66" in said
        assert "parts of the image are kept for --resume" in said
    with cluster(AT="block", HOW="killed") as (_, address):  # the workers of the other are dead or come back
        words = [*here, "-o", "out", "--scheduler", address, "--resume", "--skip-block", "50:100,0:66"]
        assert main(words) == 0


def test_a_lost_scheduler_is_said_and_the_run_goes_on_with_another(
    here: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    def lose(process: subprocess.Popen[str]) -> None:
        while not list(Path("out.work").glob("images/*/0/*.piece")):
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGKILL)

    with cluster(AT="window", HOW="slow") as (process, address):
        Thread(target=lose, args=(process,), daemon=True).start()
        assert main([*here, "-o", "out", "--scheduler", address]) == 8
    said = capfd.readouterr().err.splitlines()[-1]
    assert said.startswith("error: the scheduler is lost: tcp://")
    assert "start it again, then the run with --resume" in said
    with cluster() as (_, address):
        assert main([*here, "-o", "out", "--scheduler", address, "--resume"]) == 0
    assert content(Path("out")) == content(Path("whole"))
    shutil.rmtree("out")
