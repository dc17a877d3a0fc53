"""Battery C, continued: every command that writes, killed whenever it may be, loses nothing and can be done again."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

import pytest

from tests.battery.forkserver import ForkServer
from tests.battery.writing import SLOW, WRITERS, made, tree

KILLS = 3
pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", WRITERS)
def test_a_killed_command_loses_nothing_and_is_done_again(
    name: str, server: ForkServer, stock: Path, tmp_path: Path
) -> None:
    writer = WRITERS[name]
    shutil.copytree(stock, tmp_path / "undisturbed")
    done = server(*writer.at("."), folder=tmp_path / "undisturbed", SEG_HOME="home", timeout=300)
    assert done.code == 0, done.err
    expected = made(tmp_path / "undisturbed", tmp_path / "undisturbed", name)
    assert expected
    beside = {p.name for p in (tmp_path / "undisturbed").iterdir()}
    rng, killed, kills = random.Random(os.urandom(4)), 0, 1 if name in SLOW else KILLS
    for number in range(4 * KILLS):
        if killed == kills:
            break
        folder = tmp_path / str(number)
        shutil.copytree(stock, folder)
        before = {n: sha for n, sha in tree(folder).items() if n.split("/")[0] not in writer.outputs}
        moment = rng.uniform(0.01, done.seconds)
        try:
            server(*writer.at("."), folder=folder, SEG_HOME="home", timeout=moment)
        except TimeoutError:
            killed += 1
        else:
            continue  # it was sooner done than the first time
        assert {n: sha for n, sha in tree(folder).items() if n in before} == before
        again = server(*writer.at(".", *writer.again), folder=folder, SEG_HOME="home", timeout=300)
        assert again.code == 0, f"killed after {moment} s: {again.err}"
        assert made(folder, folder, name) == expected, f"killed after {moment} s"
        # A draft of a file that was never whole may stay; nothing reads it.
        assert {p.name for p in folder.iterdir() if not p.name.endswith(".partial")} == beside
        shutil.rmtree(folder)
    assert killed
