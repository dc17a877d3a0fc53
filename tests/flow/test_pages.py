"""Whatever a document tells its reader to type works, in the order in which it says it."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile

from tests.battery.forkserver import ForkServer
from tests.pages import ROOT, Reader, blocks, files
from toolkit.cli import main

ELSEWHERE = {
    "docs/hooks.md": "tests/unit/test_docs.py",
    "docs/phases.md": "tests/unit/training/test_phases.py",
}
"""Pages whose blocks are not typed one after the other, and the tests that run them."""
PAGES = [
    page
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), ROOT / "CONTRIBUTING.md")
    if blocks(page) and str(page.relative_to(ROOT)) not in ELSEWHERE
]


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory, server: ForkServer) -> Path:
    folder = tmp_path_factory.mktemp("given")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEG_HOME", str(folder / "home"))
        files(folder, server.door)
    return folder


def mended(folder: Path, line: str) -> None:
    """What a reader has done before: another run to compare with, and an image that was mended, from which the largest
    object is taken out."""
    if "--with other.seg" in line and not (folder / "other.seg").exists():
        assert main(["run", "cells.tif", "--plugin", "cpv", "-o", "other.seg"]) == 0
    if "found.seg few/" in line:
        assert main(["run", "nuclei.tif", "-o", "found.seg"]) == 0
        labels = tifffile.imread(folder / "masks" / "nuclei.tif")
        tifffile.imwrite(folder / "few" / "nuclei.tif", np.where(labels == labels.max(), labels, 0))
    if line.endswith("-o out --resume"):  # a run that was stopped has left no result
        shutil.rmtree(folder / "out", ignore_errors=True)
    if not (match := re.match(r"seg correct (\S+)\.seg\b", line)):
        return
    theirs = folder / f"{match[1]}.seg.corrections"
    if not theirs.is_dir():
        theirs.mkdir()
        for path in sorted((folder / f"{match[1]}.seg").glob("*.labels.tif"))[:2]:
            labels = tifffile.imread(path)
            labels[labels == np.bincount(labels[labels > 0]).argmax()] = 0
            tifffile.imwrite(theirs / path.name, labels)


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_says_can_be_typed(
    page: Path,
    given: Path,
    server: ForkServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    here = tmp_path / "here"
    shutil.copytree(given, here)
    monkeypatch.chdir(here)
    monkeypatch.setenv("SEG_HOME", str(here / "home"))
    reader = Reader(here, page, server.door)
    monkeypatch.setenv("PATH", f"{here / 'bin'}{os.pathsep}{os.environ['PATH']}")
    reader.read(mended)
    said = capsys.readouterr()
    assert "Traceback" not in said.err


def test_the_blocks_that_are_run_elsewhere_are() -> None:
    for page, test in ELSEWHERE.items():
        assert Path(page).name in (ROOT / test).read_text("utf8")
