from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from tests import packages
from toolkit.cli import main
from toolkit.registry.store import Store


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEG_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


class Seg:
    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys

    def __call__(self, line: str) -> tuple[int, str, str]:
        self.capsys.readouterr()
        code = main(line.split())
        return code, *self.capsys.readouterr()

    def json(self, line: str) -> Any:
        code, out, _ = self(f"{line} --json")
        assert code == 0
        return json.loads(out)

    def refused(self, line: str) -> tuple[int, str]:
        code, _, err = self(line)
        errors = [text for text in err.splitlines() if text.startswith("error: ")]
        assert len(errors) == 1
        assert "Traceback" not in err
        return code, errors[0]


@pytest.fixture
def seg(capsys: pytest.CaptureFixture[str]) -> Seg:
    return Seg(capsys)


def test_a_model_is_added_shown_tested_used_and_removed(seg: Seg, tmp_path: Path) -> None:
    packages.zipped(tmp_path / "m.zip", packages.good())
    added = seg.json("models add m.zip --name tiny --alias best --note hello")
    assert (added["name"], added["version"], added["licence"], added["notes"]) == ("tiny", "1.2", "MIT", "hello")
    assert [e["name"] for e in seg.json("models list")["installed"]] == ["tiny"]
    shown = seg.json("models show tiny@best")
    assert (shown["title"], shown["weights"], shown["sha256"]) == ("Tiny Net", ["onnx: data"], added["sha256"])
    assert [r["passed"] for r in seg.json("models test tiny")] == [True]
    image = np.zeros((64, 64), np.uint8)
    image[10:30, 10:30] = 200
    tifffile.imwrite(tmp_path / "i.tif", image)
    assert seg("run i.tif --model tiny --no-preview")[0] == 0
    assert len(np.unique(tifffile.imread(tmp_path / "i.seg" / "i.labels.tif"))) == 2
    assert seg.json("models update tiny --score S@0.50=0.9")["scores"] == {"S@0.50": 0.9}
    assert seg.refused("models update tiny --score S@0.50=nan")[0] == 2
    Store().note("tiny", scores={"x": float("nan")})  # as an older version took it
    assert "tiny@1.2" in seg("models list")[1]
    assert seg("models remove tiny")[1] == "removed tiny@1.2\n"
    assert [g["sha256"] for g in seg.json("models gc")] == [added["sha256"]]
    assert seg.refused("models show tiny")[0] == 2


@pytest.mark.slow
def test_code_is_refused_until_it_is_trusted(seg: Seg, tmp_path: Path) -> None:
    packages.zipped(tmp_path / "m.zip", packages.good("pytorch_state_dict"))
    assert seg("models add m.zip --name tiny")[0] == 0
    code, said = seg.refused("models test tiny")
    assert code == 3
    assert "seg models trust" in said
    code, _, err = seg("models trust tiny --yes")
    assert code == 0
    assert packages.sha256(packages.NET.encode()) in err
    assert seg("models test tiny")[0] == 0
    assert seg("models test m.zip")[0] == 0
    packages.zipped(tmp_path / "m.zip", {**packages.good("pytorch_state_dict"), "more.txt": b""})
    assert seg.refused("models test m.zip")[0] == 3


def test_searching_needs_no_network_and_ends_in_a_command(seg: Seg) -> None:
    found = seg.json("models search nucle fluorescence")
    assert any(m["id"] == "affable-shark" for m in found)
    assert all(set(m["weights"]) & {"onnx", "pytorch_state_dict", "torchscript"} for m in found)
    assert "seg models add" in seg("models search nucle fluorescence")[2]
    assert "no model has all of these words" in seg("models search qqqq")[2]
    assert seg.json("models show affable-shark")["licence"] == "CC-BY-4.0"


def test_a_wrong_name_says_the_nearest_and_what_would_add_it(seg: Seg, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "i.tif", np.zeros((9, 9), np.uint8))
    code, said = seg.refused("run i.tif --model affable-shark")
    assert (code, "seg models add affable-shark" in said) == (2, True)
    assert "affable-shark" in seg.refused("run i.tif --model afable-shark")[1]
    assert seg.refused("models add nowhere.zip")[0] == 5
    assert seg.refused("models update x --alias y")[0] == 2
    assert seg.refused("models trust x")[0] == 2


def test_a_test_that_fails_is_exit_4(seg: Seg, tmp_path: Path) -> None:
    files = packages.good()
    files["out.npy"] = packages.npy(np.zeros((1, 1, 64, 64), np.float32))
    changed = packages.altered(
        files, lambda p: p["outputs"][0]["test_tensor"].update(sha256=packages.sha256(files["out.npy"]))
    )
    packages.zipped(tmp_path / "m.zip", changed)
    code, said = seg.refused("models test m.zip")
    assert (code, "does not reproduce" in said) == (4, True)
