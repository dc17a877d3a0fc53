"""A run as jobs of an array, by a stand-in of `sbatch`, gives the bytes of one run."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import tifffile

from tests.battery.forkserver import ForkServer
from tests.battery.resumed import PATCHES, content
from tests.models import bright, by_chance
from toolkit.cli import main

pytestmark = pytest.mark.slow

SBATCH = """#!{python}
import os, subprocess, sys
words = sys.argv[1:]
array = next((w for w in words if w.startswith("--array=")), "--array=0-0")
first, last = map(int, array.partition("=")[2].split("-"))
command = words[words.index("--wrap") + 1]
with open("jobs", "a") as log:
    for task in range(first, last + 1):
        env = os.environ | {{"SLURM_ARRAY_TASK_ID": str(task)}}
        done = subprocess.run(command, shell=True, env=env, stdout=sys.stderr, executable="/bin/bash")
        log.write(f"{{command}} [{{task}}]\\n")
        if done.returncode:
            sys.exit(done.returncode)
print(sum(1 for _ in open("jobs")))
"""


def program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SEG_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    tifffile.imwrite("a.tif", bright((100, 90), 0, 50))
    by_chance(tmp_path / "model", PATCHES, 2)
    return tmp_path


WORDS = ["a.tif", "--model", "model", "--block", "64", "--no-preview", "--device", "cpu", "--workers", "1"]


def test_jobs_of_an_array_give_the_bytes_of_one_run(
    here: Path, server: ForkServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["run", *WORDS, "-o", "whole"]) == 0
    (here / "bin").mkdir()
    program(here / "bin" / "sbatch", SBATCH.format(python=sys.executable))
    server.door.write(here / "bin" / "seg")
    monkeypatch.setenv("PATH", f"{here / 'bin'}{os.pathsep}{os.environ['PATH']}")
    words = ["run", *WORDS, "-o", "out"]
    script = subprocess.run(
        [sys.executable, "-c", "import sys; import toolkit.running.array as a; a.JOBS = 2\n"
         "from toolkit.cli import main; sys.exit(main())", *words, "--dry-run", "--slurm"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert script.startswith("#!/bin/bash\n")
    subprocess.run(["bash", "-c", script], check=True)
    jobs = (here / "jobs").read_text()
    assert [jobs.count(f"--stage {s}") for s in ("scale", "pieces", "pass-1", "reduce-1", "pass-2")] == [1, 2, 2, 1, 2]
    assert content(here / "out") == content(here / "whole")
    assert not (here / "out.work").exists()


def test_a_stage_needs_the_run_that_it_belongs_to(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    def said(*words: str) -> tuple[int, str]:
        capfd.readouterr()
        code = main(["run", *WORDS, "-o", "out", *words])
        return code, capfd.readouterr().err.splitlines()[-1]

    assert said("--stage", "pieces") == (2, "error: no run was begun here: out; begin it with --stage scale")
    assert said("--stage", "scale")[0] == 0
    code, error = said("--stage", "pieces", "--set", "tiling.overlap=16")
    assert (code, "begun with something else: recipe.tiling.overlap" in error) == (2, True)
    code, error = said("--stage", "pass-1")
    assert (code, "16 windows are missing" in error) == (2, True)
    code, error = said("--stage", "pieces", "--only-blocks", "50:60")
    assert (code, "stage pieces has 16 parts, none of these: --only-blocks 50:60" in error) == (2, True)
    code, error = said("--stage", "more")
    assert (code, "choose one of scale, pieces, pass-1, reduce-1, pass-2" in error) == (2, True)
    code, error = said("--only-blocks", "0:3")
    assert (code, "these are no blocks of a stage" in error) == (2, True)
    shutil.rmtree(here / "out.work")
