"""Battery C, continued: one command twice at once, on the same output. Nothing is lost, and what is there is whole."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.battery.forkserver import ForkServer
from tests.battery.writing import WRITERS, made, tree

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", WRITERS)
def test_a_command_that_runs_twice_at_once_loses_nothing(
    name: str, servers: list[ForkServer], stock: Path, tmp_path: Path
) -> None:
    writer, folder = WRITERS[name], tmp_path / "both"
    shutil.copytree(stock, tmp_path / "alone")
    alone = servers[0](*writer.at("."), folder=tmp_path / "alone", SEG_HOME="home", timeout=300)
    assert alone.code == 0, alone.err
    shutil.copytree(stock, folder)
    before = {n: sha for n, sha in tree(folder).items() if n.split("/")[0] not in writer.outputs}
    with ThreadPoolExecutor(2) as pool:
        ends = [pool.submit(one, *writer.at("."), folder=folder, SEG_HOME="home", timeout=300) for one in servers]
        done = [end.result() for end in ends]
    codes = sorted(one.code for one in done)
    assert codes[0] == 0, [one.err for one in done]
    # The other one does the same after it, or says that the output is in use, or there.
    assert codes[1] in (0, 2, 7), [one.err for one in done]
    assert all("Traceback" not in one.err and len(one.errors) == (one.code != 0) for one in done)
    after = tree(folder)
    assert {n: sha for n, sha in after.items() if n in before} == before
    assert made(folder, folder, name) == made(tmp_path / "alone", tmp_path / "alone", name)
    there = {p.name for p in folder.iterdir()}
    assert there == {p.name for p in (tmp_path / "alone").iterdir()}
