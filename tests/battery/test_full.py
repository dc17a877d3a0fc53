"""Battery E, continued: a disk that fills while a command writes is said, and nothing that was there is lost."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.battery.forkserver import ForkServer
from tests.battery.writing import SLOW, WRITERS, begun, stocked, tree

STEPS = (0, 2, 5, 12, 30, 80)
"""Blocks of 4 kB that are left on the disk."""
WHOLE = {"out", "seen.zip", "page.html"}
"""Outputs that are there when all of it is."""
pytestmark = [pytest.mark.slow, pytest.mark.linux]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[Path], bool]]:
    """Makes a folder a small disk of its own; says whether that could be: mounting takes privileges."""
    mounted = []

    def mount(folder: Path) -> bool:
        command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
        if subprocess.run(command, capture_output=True).returncode == 0:
            mounted.append(folder)
        return folder in mounted

    yield mount
    for folder in mounted:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_is_one_sentence_and_loses_nothing(
    name: str, server: ForkServer, disk: Callable[[Path], bool], tmp_path: Path
) -> None:
    writer, small = WRITERS[name], tmp_path / "small"
    small.mkdir()
    whole = disk(small)
    stocked(tmp_path, small)
    begun(server, tmp_path, "small", str(small / "home"))
    before = tree(small)
    codes = []
    for blocks in STEPS[:: 3 if name in SLOW else 1]:
        limited = {} if whole else {"FSIZE": str(blocks * 4096)}
        if whole:
            fill(small, blocks)
        command = writer.at("small", *(writer.again if codes else ()))
        found = server(*command, folder=tmp_path, SEG_HOME=str(small / "home"), timeout=300, **limited)
        (small / "filling").unlink(missing_ok=True)
        assert found.code in (0, 7), f"{blocks} blocks: {found.err}"
        assert "Traceback" not in found.err
        assert len(found.errors) == (found.code != 0)
        codes.append(found.code)
        if found.code == 0:
            break
        after = tree(small)
        assert [path for path in before if after.get(path) != before[path]] == []
        assert not any((small / name).exists() for name in WHOLE.intersection(writer.outputs))
    assert codes[0] == 7 or name == "tune"  # where nothing is better nothing is written
    if codes[-1]:
        done = server(*command, folder=tmp_path, SEG_HOME=str(small / "home"), timeout=300)
        assert done.code == 0, done.err


def fill(small: Path, blocks: int) -> None:
    """Leave as many blocks free."""
    free = shutil.disk_usage(small).free // 4096 - blocks
    with (small / "filling").open("wb") as stream:
        for _ in range(free):
            stream.write(b"x" * 4096)
