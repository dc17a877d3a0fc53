"""Nothing is skipped but for want of a GPU."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SKIPS = """
import pytest
from unittest import SkipTest

@pytest.mark.gpu
def test_with_a_gpu():
    raise SkipTest("no GPU")

def test_gpu_agrees_with_cpu():
    pytest.skip("no GPU")

@pytest.mark.xfail(reason="known", raises=ZeroDivisionError)
def test_that_is_known_to_fail():
    1 / 0

@pytest.mark.skipif(True, reason="data are missing")
def test_by_mark():
    pass

def test_in_the_middle():
    raise SkipTest("a program is missing")

@pytest.mark.linux
def test_of_this_system():
    pytest.skip("not today")
"""


WHOLE = "import pytest\npytest.importorskip('no_such_module')\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("code", "status", "said"),
    [(SKIPS, 1, "2 failed, 2 skipped, 1 xfailed, 1 error"), (WHOLE, 2, "1 error")],
    ids=["tests", "a file"],
)
@pytest.mark.linux
def test_a_skip_without_a_gpu_fails(tmp_path: Path, code: str, status: int, said: str) -> None:
    (tmp_path / "test_skips.py").write_text(code)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n    gpu: g\n    linux: l\n    browser: b\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "conftest", "-c",
         str(tmp_path / "pytest.ini"), str(tmp_path)],
        capture_output=True, text=True, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=False,
    )  # fmt: skip
    assert (done.returncode, said in done.stdout) == (status, True), done.stdout
