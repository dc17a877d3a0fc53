"""A run that is killed anywhere is resumed with the bytes of one that was not, and does nothing twice."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.battery.resumed import Kills, kill
from toolkit.files.failpoint import VARIABLE

MEMORY = Path("/dev/shm")
"""A disk of its own."""
pytestmark = [pytest.mark.slow, pytest.mark.linux]


@pytest.fixture(scope="module")
def kills(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kills]:
    found = Kills(tmp_path_factory.mktemp("kills"))
    yield found
    found.server.close()


def test_runs_that_were_killed_are_resumed_with_the_same_bytes(kills: Kills) -> None:
    kill(kills, points=14, moments=4)
    assert sum(kills.died.values()) >= 16


def test_a_resumed_run_that_is_killed_is_resumed_again(kills: Kills) -> None:
    assert kills.at("chance", "journal.after", 12, again=("part.named", 4))


def test_what_is_kept_on_another_disk_is_gone_on_with(kills: Kills) -> None:
    with TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else kills.folder) as disk:
        kills.scratch = Path(disk)
        kills.begin("chance")
        killed = kills.seg("chance", "out", "--overwrite", "--work", disk, **{VARIABLE: "journal.after:21"})
        assert killed.code < 0
        assert not (kills.folder / "out.work" / "images").exists()
        assert kills.parts("chance") == kills.total["chance"] - 21
        kills.resumed("chance")
        assert [*kills.scratch.iterdir()] == []
        kills.scratch = None


@pytest.mark.parametrize("how", ["torn", "rubbish", "empty", "gone", "another file"])
def test_what_no_sound_row_says_is_done_again(kills: Kills, how: str) -> None:
    kills.begin("seen")
    assert kills.seg("seen", "out", "--overwrite", **{VARIABLE: "journal.after:9"}).code < 0
    (journal,) = (kills.folder / "out.work").glob("images/*/*/journal")
    lines = journal.read_bytes()
    match how:
        case "torn":
            journal.write_bytes(lines[:-7])
        case "rubbish":
            journal.write_bytes(lines[:200].rpartition(b"\n")[0] + b"\n\x00\xff{]\n" + lines[200:])
        case "empty":
            journal.write_bytes(b"")
        case "gone":
            journal.unlink()
        case "another file":
            piece = journal.with_name("3.piece")
            piece.write_bytes(piece.read_bytes()[:-1] + b"?")
            done = kills.seg("seen", "out", "--overwrite", "--resume")
            assert done.code == 0, done.err
            return
    kills.resumed("seen")


@pytest.mark.parametrize(("words", "named"), [
    (("--set", "postprocess.foreground=0.6"), "recipe.postprocess.foreground"),
    (("--set", "tiling.overlap=16"), "recipe.tiling.overlap"),
    (("--min-score", "0.5"), "--min-score"),
])  # fmt: skip
def test_a_run_that_is_not_the_same_is_refused_by_the_name_of_what_changed(
    kills: Kills, words: tuple[str, ...], named: str
) -> None:
    kills.begin("seen")
    assert kills.seg("seen", "out", "--overwrite", **{VARIABLE: "journal.after:9"}).code < 0
    said = kills.seg("seen", "out", "--overwrite", "--resume", *words)
    assert said.code == 2
    assert f"begun with something else: {named};" in said.errors[0]
    kills.resumed("seen")


def test_a_full_disk_is_said_and_the_run_goes_on_when_there_is_room(kills: Kills) -> None:
    for count in (1, 9, 19, 25, 28, 32):
        kills.begin("chance")
        said = kills.seg("chance", "out", "--overwrite", **{VARIABLE: f"part.written:{count}:space"})
        assert said.code == 7
        assert "No space left on device" in said.errors[0]
        assert len(said.errors) == 1
        assert ("kept for --resume" in said.errors[0]) == (count > 1)
        kills.resumed("chance")


def test_without_the_variable_nothing_fails(kills: Kills) -> None:
    shutil.rmtree(kills.folder / "out", ignore_errors=True)
    assert kills.seg("seen", "out", **{VARIABLE: ""}).code == 0
