"""A method of a third party that trains several networks in phases, on the command line."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.battery.installed import install
from tests.samples import nuclei
from toolkit.cli import main
from toolkit.training import feed
from toolkit.training.loop import Report

RECIPE = """
schema: toolkit.recipe/1
name: mutual
network: {kind: unet, maps: [2, 4], units: 0}
loss: {kind: mutual, shares: [0.4, 0.3, 0.3]}
postprocess: {kind: threshold, min_size: 4}
tiling: {window: [16, 16], overlap: 4}
training: {crop: [16, 16], batch: 1, accumulate: 2, steps: 140}
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An installed plugin; the path of a recipe that uses it."""
    install(tmp_path, "mutual", "toolkit_mutual", "from tests.mutual import SEG_API, seg_losses, seg_recipes")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "mutual.yaml").write_text(RECIPE)
    yield str(tmp_path / "mutual.yaml")
    sys.modules.pop("toolkit_mutual", None)


def begin(recipe: str, data: Path, out: Path, *more: str) -> int:
    return main(["train", "--recipe", recipe, "--plugin", "mutual", "--data", str(data), "-o", str(out),
                 "--threads", "1", "--device", "cpu", *more])  # fmt: skip


def test_a_plugin_brings_networks_and_phases_and_its_training_is_resumed_exactly(
    plugin: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    obtained: Callable[[Path, Path], tuple[float, float]],
) -> None:
    data, whole, parts = nuclei(tmp_path / "data"), tmp_path / "whole", tmp_path / "parts"
    assert begin(plugin, data, whole) == 0

    def interrupt(report: Report) -> None:
        if report.progress.step == 75:  # in the second phase, after the checkpoint at its beginning
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("toolkit.cli.training.lines", lambda screen: interrupt)
        # The other half is fed by processes, which find the plugin like this one does.
        patch.setattr(feed, "wanted", lambda *_: 2)
        assert begin(plugin, data, parts) == 130
        assert "crops  made by 2 processes" in capsys.readouterr().err
    assert begin(plugin, data, parts, "--resume") == 0
    for name in ("last.safetensors", "best.safetensors", "kept.alone.other.1.safetensors"):
        expected, found = load_file(whole / name), load_file(parts / name)
        assert expected.keys() == found.keys()
        assert all(np.array_equal(expected[k], found[k]) for k in expected), name
    with (parts / "log.csv").open() as stream:
        phases = [row["phase"] for row in csv.DictReader(stream)]
    assert [phases.count(name) for name in ("alone", "judging", "together")] == [56, 42, 42]
    said, found = obtained(parts, data)
    assert said == found > 0
    assert json.loads((parts / "training.json").read_text())["steps"] == 140


def test_minutes_are_shared_out_among_the_phases(plugin: str, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert begin(plugin, nuclei(tmp_path / "data"), run, "--minutes", "0.1") == 0
    with (run / "log.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    ends = [max(float(row["seconds"]) for row in rows if row["phase"] == name) for name in ("alone", "judging")]
    assert 0 < ends[0] < ends[1] < float(rows[-1]["seconds"])
