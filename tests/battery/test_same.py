"""Battery I: the same inputs, model and engine give the same bytes, however they are run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import tifffile

from tests.battery.forkserver import ForkServer
from tests.battery.resumed import PATCHES, content
from tests.battery.test_scarce import EMBEDDED
from tests.models import bright, by_chance, see_through
from toolkit.files.failpoint import VARIABLE

pytestmark = [pytest.mark.slow, pytest.mark.linux]

WAYS: dict[str, tuple[str, ...]] = {
    "repeated": (), "in blocks of a window": ("--block", "1"), "in blocks of 40": ("--block", "40"),
    "in one block": ("--block", "1000"), "by two workers": ("--workers", "2", "--block", "40"),
}  # fmt: skip


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    return {
        "threshold": see_through(folder / "threshold"),
        "ppp": by_chance(folder / "ppp", PATCHES, 2),
        "embedseg": by_chance(folder / "embedseg", EMBEDDED, 5),
    }


@pytest.mark.parametrize("name", ["threshold", "ppp", "embedseg"])
def test_any_way_to_run_a_model_gives_the_same_bytes(
    server: ForkServer, models: dict[str, Path], name: str, tmp_path: Path
) -> None:
    for number, image in enumerate("ab"):
        tifffile.imwrite(tmp_path / f"{image}.tif", bright((100, 90), number, 50))
    run = ["run", "--model", str(models[name]), "--no-preview", "--device", "cpu", "--diameter", "off"]

    def seg(out: str, *words: str, images: str = "a", workers: str = "1", **environment: str) -> int:
        count = () if "--workers" in words else ("--workers", workers)
        inputs = [f"{image}.tif" for image in images]
        found = server(*run, *inputs, "-o", out, *count, *words, folder=tmp_path, SEG_HOME=str(tmp_path), **environment)
        return found.code

    assert seg("whole") == 0
    wanted = content(tmp_path / "whole")
    found = {}
    for way, words in WAYS.items():
        assert seg(way, *words) == 0
        found[way] = content(tmp_path / way)
    assert seg("resumed", "--block", "40", **{VARIABLE: "journal.after:12"}) < 0
    assert seg("resumed", "--block", "60", "--resume") == 0
    found["resumed with other blocks"] = content(tmp_path / "resumed")
    # What the server forks has hashes by chance.
    command = [sys.executable, "-m", "toolkit.cli", *run, "a.tif", "-o", "other hashes", "--workers", "1"]
    environment = {**os.environ, "PYTHONHASHSEED": "1", "SEG_HOME": str(tmp_path)}
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True)
    found["with other hashes"] = content(tmp_path / "other hashes")
    assert [way for way, files in found.items() if files != wanted] == []
    for order in ("ab", "ba"):
        assert seg(order, images=order) == 0
        both = content(tmp_path / order)
        assert {name: data for name, data in both.items() if name.startswith("a.")} == wanted
    assert content(tmp_path / "ab") == content(tmp_path / "ba")
