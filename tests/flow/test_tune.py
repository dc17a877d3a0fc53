"""`seg tune` as a user runs it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.unit.tune.test_tune import RECIPE, dataset
from tests.unit.tune.test_tune import run as run
from toolkit.cli import main


def test_a_run_is_tuned_and_then_segments_with_what_was_found(
    run: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    data = dataset(tmp_path / "data")
    arguments = ["tune", str(run), "--data", f"{data}:val", "--trials", "15", "--workers", "1", "--json"]
    assert main(arguments) == 0
    document = json.loads(capfd.readouterr().out)
    assert document["after"] > document["before"]
    assert document["wrote"] == [str(run / "recipe.yaml"), str(run / "tuned.json")]
    assert (
        main(["run", f"{data}:val", "--model", str(run), "-o", str(tmp_path / "out"), "--workers", "1", "--no-preview"])
        == 0
    )
    capfd.readouterr()
    assert main(["evaluate", str(tmp_path / "out"), f"{data}:val", "--metric", "S", "--json"]) == 0
    measured = json.loads(capfd.readouterr().out)["summary"]["S@0.50"]["mean"]
    assert measured == pytest.approx(document["after"])


def test_a_tuned_run_that_cannot_be_bettered_is_left_as_it_is(
    run: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["toolkit.tune.precision"], "short", lambda _: False)
    data = dataset(tmp_path / "data", 3)
    best = RECIPE.replace("foreground: 0.5, min_size: 1", "foreground: 0.65, min_size: 10")
    (run / "recipe.yaml").write_text(best)
    assert main(["tune", str(run), "--data", str(data), "--trials", "9", "--workers", "1"]) == 0
    assert "nothing is better" in capfd.readouterr().out
    assert (run / "recipe.yaml").read_text() == best
    assert not (run / "tuned.json").exists()
    # Where the processor has 16 bits, that they cost nothing is kept, once.
    monkeypatch.setattr(sys.modules["toolkit.tune.precision"], "short", lambda _: True)
    for _ in range(2):
        assert main(["tune", str(run), "--data", str(data), "--trials", "9", "--workers", "1"]) == 0
        assert "tiling.precision=bfloat16: in 16 bits" in capfd.readouterr().out
        assert "precision: bfloat16" in (run / "recipe.yaml").read_text()
        assert len(json.loads((run / "tuned.json").read_text())) == 1


def test_a_field_that_is_set_is_held_and_a_copy_leaves_the_run_alone(
    run: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    data, out = dataset(tmp_path / "data", 3), tmp_path / "tuned"
    arguments = ["tune", str(run), "--data", str(data), "--trials", "9", "--workers", "1", "-o", str(out)]
    assert main([*arguments, "--set", "postprocess.min_size=12", "--json"]) == 0
    document = json.loads(capfd.readouterr().out)
    assert list(document["best"]) == ["foreground"]
    assert document["postprocess"]["min_size"] == 12
    assert (run / "recipe.yaml").read_text() == RECIPE
    assert sorted(p.name for p in out.iterdir()) == ["best.safetensors", "recipe.yaml", "tuned.json"]
    assert main(arguments) == 2


@pytest.mark.parametrize(("change", "said"), [
    (["--data", "DATA:test"], "can no longer be measured"),
    (["--metric", "nonsense"], "no such metric"),
    (["--sampler", "gird"], "did you mean 'grid'?"),
    (["--only", "seed"], "declares no such field"),
    (["--set", "network.kind=unet"], "network and heads are fixed"),
])  # fmt: skip
def test_what_makes_no_sense_is_exit_code_2_at_once(
    run: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], change: list[str], said: str
) -> None:
    data = dataset(tmp_path / "data", 3)
    arguments = ["tune", str(run), "--data", f"{data}:val"]
    assert main([*arguments, *(c.replace("DATA", str(data)) for c in change)]) == 2
    seen = capfd.readouterr()
    assert seen.err.startswith("error: ")
    assert said in seen.err
    assert seen.out == ""
