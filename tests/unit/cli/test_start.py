"""The start of a command searches for nothing to free, and what comes after it does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

LOOK = """
import functools, gc, sys
from {module} import {name} as real
import {module} as module

@functools.wraps(real)
def looked(*given, **named):
    print("searched" if gc.isenabled() else "not yet", gc.get_freeze_count() > 0)
    return real(*given, **named)

module.{name} = looked
from toolkit.cli import main
sys.exit(main())
"""


def _said(words: list[str], module: str, name: str) -> str:
    code = LOOK.format(module=module, name=name)
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[0]


@pytest.mark.parametrize(
    ("module", "name", "answer", "more"),
    [
        ("toolkit.running.plan", "plan", "not yet False", ()),
        ("toolkit.running.run", "run", "searched True", ()),
        ("toolkit.running.array", "make", "searched True", ("--stage", "scale")),
    ],
)
def test_the_start_of_a_run_ends_with_its_plan(
    tmp_path: Path, module: str, name: str, answer: str, more: tuple[str, ...]
) -> None:
    tifffile.imwrite(tmp_path / "image.tif", np.full((32, 32), 7, np.uint8))
    words = ["run", str(tmp_path / "image.tif"), "--plugin", "embedseg", "-o", str(tmp_path / "out"), "--workers", "1"]
    assert _said([*words, *more], module, name) == answer


def test_other_verbs_search_from_their_beginning() -> None:
    assert _said(["plugins", "list"], "toolkit.cli.plugins.list", "list_plugins") == "searched True"
