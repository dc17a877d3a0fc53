"""A result is looked at: the commands of the page about it, as a user types them."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import numpy as np
import pytest
import tifffile

from toolkit.cli import main
from toolkit.io.zarrthoughts import read_thoughts

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden" / "dsb2018"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image of nuclei, its truth, and a run of it by another method."""
    where = tmp_path_factory.mktemp("view")
    image = sorted((GOLDEN / "images").iterdir())[1]
    shutil.copy(image, where / "cells.tif")
    (where / "masks").mkdir()
    shutil.copy(GOLDEN / "masks" / image.name, where / "masks" / "cells.tif")
    other = ["--plugin", "cpv", "-o", str(where / "other.seg"), "--workers", "1", "--no-preview"]
    shown = ["--show", "heads,seeds,graph,votes"]
    assert main(["run", str(where / "cells.tif"), *other, *shown]) == 0
    return where


@pytest.mark.slow
def test_the_commands_of_the_page_work_in_their_order(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    lines = re.findall(r"^\$ seg (.*?)(?: +#.*)?$", (ROOT / "docs" / "view.md").read_text("utf8"), re.MULTILINE)
    assert len(lines) == 6
    for line in lines:
        if "-o" in line.split():  # the one without serves until it is stopped
            assert main(shlex.split(line)) == 0, line
    for name in ("cells.html", "truth.html", "both.html"):
        text = (folder / name).read_text("utf8")
        assert text.startswith("<!DOCTYPE html>")
        assert len(text) < 5_000_000
    scenes = {n: json.loads(re.findall(r'id="scene">(.*?)</script>', (folder / f"{n}.html").read_text("utf8"))[0])
              for n in ("cells", "truth", "both")}  # fmt: skip
    assert {"entropy", "scores", "head_seediness"} <= {p["name"] for p in scenes["cells"]["pictures"]}
    assert [m["kind"] for m in scenes["cells"]["marks"]] == ["ellipses"]
    assert len(scenes["truth"]["sides"]) == 2
    assert {p["side"] for p in scenes["both"]["pictures"]} == {0, 1}
    assert "wrote" in capsys.readouterr().out


def test_what_a_method_has_not_thought_is_a_note_and_no_name_is_an_error(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = json.loads((folder / "other.seg" / "run.json").read_text("utf8"))
    notes = record["images"][0]["notes"]
    assert "method three-label has no graph to show; it has heads, entropy, scores, seeds, votes" in notes
    assert "method three-label makes no votes as it is set here" in notes
    assert record["options"]["show"] == ["heads", "seeds", "graph", "votes"]
    fields, marks = read_thoughts(folder / "other.seg" / "cells.zarr")
    assert fields.keys() == {"head_three_label", "head_cpv", "seeds"}
    assert marks == {}
    labels = tifffile.imread(folder / "other.seg" / "cells.labels.tif")
    seeds = fields["seeds"][0] > 0
    assert (labels[seeds] > 0).mean() > 0.95, "objects grow from seeds"
    assert np.isin(np.arange(1, labels.max() + 1), labels[seeds]).all()
    interior = np.asarray(fields["head_three_label"][1])
    assert interior[labels > 0].mean() > 0.5 > interior[labels == 0].mean()
    assert main(["run", str(folder / "cells.tif"), "-o", str(folder / "x"), "--show", "seed"]) == 2
    assert "did you mean 'seeds'" in capsys.readouterr().err
    assert main(["run", str(folder / "cells.tif"), "-o", str(folder / "x"), "--plugin", "cpv", "--show", "graph"]) == 2
    assert "it tells heads, entropy, scores, seeds, votes" in capsys.readouterr().err
    assert not (folder / "x").exists()


def test_showing_changes_no_object(folder: Path) -> None:
    plain = folder / "plain.seg"
    arguments = [
        "run",
        str(folder / "cells.tif"),
        "--plugin",
        "cpv",
        "-o",
        str(plain),
        "--workers",
        "1",
        "--no-preview",
    ]
    assert main(arguments) == 0
    for name in ("cells.labels.tif", "cells.objects.csv"):
        assert (plain / name).read_bytes() == (folder / "other.seg" / name).read_bytes()


@pytest.mark.slow
def test_a_page_is_served_until_it_is_interrupted(folder: Path) -> None:
    command = [sys.executable, "-m", "toolkit.cli", "view", str(folder / "other.seg")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        address = re.findall(r"open +(http://127\.0\.0\.1:\d+/[\w-]{32}/)", process.stdout.readline())[0]
        with urlopen(address, timeout=20) as page:
            assert b"seg view" in page.read()
    finally:
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
    assert (process.returncode, said) == (0, "")
