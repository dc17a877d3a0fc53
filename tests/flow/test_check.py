"""`seg check` as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.battery.installed import install_bad
from tests.unit.check.test_check import healthy, picture, tree, write
from toolkit.cli import main


def test_a_data_set_with_warnings_is_fine(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    items = healthy(3)
    items["i0"] = (items["i0"][0], np.zeros((80, 90), np.uint8))
    root = write(tmp_path, items, {"train": ["i0", "i1"], "val": ["i2"]})
    before = tree(root)
    assert main(["check", str(root)]) == 0
    seen = capfd.readouterr()
    assert "warning 1 mask without an object" in seen.out
    assert "begin with embedseg" in seen.out
    assert seen.err == ""
    assert tree(root) == before


def test_what_cannot_be_used_is_exit_code_5_with_the_whole_report(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    root = write(tmp_path, {**healthy(2), "alone": (picture(7), None)})
    assert main(["check", str(root), "--json"]) == 5
    seen = capfd.readouterr()
    document = json.loads(seen.out)
    assert document["usable"] is False
    assert [f["code"] for f in document["findings"] if f["severity"] == "error"] == ["unpaired"]
    assert seen.err.startswith("error: this data set cannot be used as it is")
    assert seen.err.count("\n") == 1


def test_a_repaired_copy_can_be_used(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    root = write(tmp_path / "data", {**healthy(2), "alone": (picture(7), None)})
    folder, neighbour = tmp_path / "fixed", tmp_path / "fixed.partial"
    neighbour.mkdir()
    (neighbour / "thesis.txt").write_text("precious")
    assert main(["check", str(root), "--fix", str(folder), "--json"]) == 0
    assert [p.name for p in neighbour.iterdir()] == ["thesis.txt"]
    document = json.loads(capfd.readouterr().out)
    assert document["fixed"]["images"] == 2
    assert main(["check", str(folder)]) == 0
    assert main(["check", str(root), "--fix", str(folder)]) == 2
    (tmp_path / "link").symlink_to("nowhere")
    assert main(["check", str(root), "--fix", str(tmp_path / "link")]) == 2


def test_pieces_are_not_split_without_a_folder_to_write_to(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(write(tmp_path, healthy(1))), "--split-pieces"]) == 2
    assert capfd.readouterr().err.startswith("error: nothing is altered without --fix")


@pytest.mark.slow
def test_processes_find_what_one_finds(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    root = write(tmp_path, healthy(16))
    outputs = []
    for workers in ("1", "2"):
        assert main(["check", str(root), "--json", "--workers", workers]) == 0
        outputs.append(capfd.readouterr().out)
    assert outputs[0] == outputs[1]


@pytest.mark.slow
def test_the_command_at_the_end_trains_what_suits(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOOLKIT_PLUGINS", "builtin")
    monkeypatch.chdir(tmp_path)
    root = write(tmp_path / "data", healthy(3), {"train": ["i0", "i1"], "val": ["i2"]})
    assert main(["check", str(root)]) == 0
    command = capfd.readouterr().out.splitlines()[-1].split()
    assert command == ["seg", "train", "--recipe", "unet", "--data", str(root), "-o", "run", "--deduce"]
    small = ["--steps", "2", "--set", "network.maps=[2,4]", "--set", "network.strides=[2]", "--device", "cpu"]
    assert main([*command[1:], *small, "--set", "training.batch=1"]) == 0
    assert (tmp_path / "run" / "best.safetensors").is_file()


def test_a_method_that_cannot_be_asked_is_a_note(site: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    install_bad(site, "raises")
    assert main(["check", str(write(tmp_path / "data", healthy(2)))]) == 0
    said = capfd.readouterr().out
    assert "note    a method could not be asked whether it suits: plugin bad is broken (RuntimeError" in said
    assert "begin with embedseg" in said
