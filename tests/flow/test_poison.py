"""What cannot be done is named and the rest is kept; it may be left out, and blocks become smaller where they are too
large for memory."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile

from tests.battery.resumed import content
from tests.flow import poisoned
from toolkit.cli import main
from toolkit.values.tiles import Box

pytestmark = [pytest.mark.slow, pytest.mark.linux]

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Runs the method on an image of 16 windows in 4 blocks; gives exit code and stderr."""
    start = poisoned.install(tmp_path, monkeypatch)

    def seg(*words: str, **environment: str) -> tuple[int, str]:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            capfd.readouterr()
            code = main([*start, *words])
            return code, capfd.readouterr().err

    assert seg("a.tif", "-o", "whole", "--workers", "1")[0] == 0
    return seg


def box(said: str) -> tuple[str, Box]:
    """What a sentence proposes to leave out."""
    found = re.search(r"or leave it out with --skip-block (\d+:\d+,\d+:\d+)", said)
    assert found is not None, said
    spans = [part.split(":") for part in found[1].split(",")]
    return found[1], Box(tuple(int(a) for a, _ in spans), tuple(int(b) for _, b in spans))


def left_out(out: str, text: str, part: Box) -> None:
    """The result says where nothing was looked for, and there nothing is; elsewhere is what is always there."""
    record = json.loads(Path(out, "run.json").read_text())
    assert record["images"][0]["skipped"] == [text]
    assert record["options"]["skip"] == [text]
    seen, wanted = (tifffile.imread(f"{o}/a.labels.tif") > 0 for o in (out, "whole"))
    assert wanted[part.slices].any()
    wanted[part.slices] = False
    assert np.array_equal(seen, wanted)
    assert seen.any()


@pytest.mark.parametrize(("at", "how", "workers", "code", "words"), [
    ("window", "crashed", 2, 8, "window 9 failed 3 times: a worker process died"),
    ("window", "error", 1, 9, "poisoned failed: ValueError: it is poisoned"),
    ("block", "crashed", 2, 8, "block 2 [50:100, 0:66] in pass 1 failed 3 times: a worker process died"),
    ("block", "error", 2, 9, "poisoned failed: ValueError: it is poisoned"),
    ("block", "memory", 1, 6, "memory does not suffice: block"),
    ("block", "killed", 2, 8, "failed 3 times: a worker process died"),
])  # fmt: skip
def test_what_fails_is_named_and_left_out_when_the_run_goes_on(
    run: Run, at: str, how: str, workers: int, code: int, words: str
) -> None:
    words_ = ["a.tif", "-o", "out", "--workers", str(workers)]
    got, said = run(*words_, AT=at, HOW=how)
    errors = [line for line in said.splitlines() if line.startswith("error: ")]
    assert (got, len(errors), "Traceback" in said) == (code, 1, False), said
    assert words in errors[0]
    assert "parts of the image are kept for --resume" in errors[0]
    text, part = box(errors[0])
    assert all(a <= p < b for a, b, p in zip(part.start, part.stop, poisoned.PLACE, strict=True))
    kept = len(list(Path("out.work").glob("images/*/0/*.piece")))
    assert kept >= 8
    got, said = run(*words_, "--resume", "--skip-block", text, AT=at, HOW=how)
    assert got == 0, said
    assert f"nothing is looked for in {text}" in said
    left_out("out", text, part)
    assert not Path("out.work").exists()
    assert run("--from", "out/run.json", "-o", "again", "--workers", "1", AT=at, HOW=how)[0] == 0
    assert content(Path("again")) == content(Path("out"))


@pytest.mark.parametrize(("how", "workers"), [("memory", 1), ("memory", 2), ("killed", 2)])
def test_blocks_become_smaller_where_memory_does_not_suffice_and_the_bytes_stay(
    run: Run, how: str, workers: int
) -> None:
    code, said = run("a.tif", "-o", "out", "--workers", str(workers), AT="block", HOW=how, MOST="30")
    assert code == 0, said
    assert "memory did not suffice for larger blocks: they are of 27 voxels" in said
    assert content(Path("out")) == content(Path("whole"))


def test_smaller_blocks_are_remembered_by_who_goes_on_and_by_the_next_image(run: Run) -> None:
    shutil.copyfile("a.tif", "b.tif")
    words = ["a.tif", "b.tif", "-o", "out", "--workers", "1"]
    stop = {"SEG_FAILPOINT": "finish.before:2:space"}
    assert run(*words, AT="block", HOW="memory", MOST="30", **stop)[0] == 7
    assert Path("out.work/block.txt").read_text().split()[0] == "16"
    code, said = run(*words, "--resume", AT="block", HOW="killed", MOST="30")  # as it would be if it were tried
    assert code == 0, said
    assert tifffile.imread("out/b.labels.tif").tobytes() == tifffile.imread("whole/a.labels.tif").tobytes()


def test_a_part_is_left_out_of_one_image(run: Run) -> None:
    shutil.copyfile("a.tif", "b.tif")
    code, said = run("a.tif", "b.tif", "-o", "out", "--workers", "1", "--skip-block", "0:9,0:9")
    assert (code, said.splitlines()[-1]) == (
        2,
        "error: parts are left out of one image: 2 inputs, --skip-block; name one",
    )
    code, said = run("a.tif", "-o", "out", "--workers", "1", "--skip-block", "0:9")
    assert code == 5
    assert "the box has 1 axes and the image has 2" in said
