"""The table of a training."""

from __future__ import annotations

from pathlib import Path

from toolkit.training.log import Log, read


def row(step: int, **terms: float | str) -> dict[str, float | int | str]:
    return {"step": step, "seconds": 0.5 * step, "learning_rate": 0.1, "loss": 1 / step, **terms}


def test_rows_are_there_at_once_and_scores_are_in_the_last_column(tmp_path: Path) -> None:
    log = Log(tmp_path, 0)
    log.add(row(1, a=2.0))
    log.add(row(2, a=1.0, score=0.25))
    assert (tmp_path / "log.csv").read_text().splitlines() == [
        "step,seconds,learning_rate,loss,a,score", "1,0.5,0.1,1,2,", "2,1,0.1,0.5,1,0.25",
    ]  # fmt: skip


def test_a_phase_adds_its_terms_and_nothing_is_lost(tmp_path: Path) -> None:
    log = Log(tmp_path, 0)
    for step, terms in enumerate(({"a": 1.0}, {"a": 2.0, "score": 0.5}, {"b": 3.0, "phase": "second"}), 1):
        log.add(row(step, **terms))
    assert list(read(tmp_path / "log.csv")[0]) == [
        "step", "seconds", "learning_rate", "loss", "a", "b", "phase", "score",
    ]  # fmt: skip
    assert [(r["a"], r["b"], r["phase"], r["score"]) for r in read(tmp_path / "log.csv")] == [
        ("1", "", "", ""), ("2", "", "", "0.5"), ("", "3", "second", ""),
    ]  # fmt: skip


def test_what_came_after_the_checkpoint_is_cut_off(tmp_path: Path) -> None:
    log = Log(tmp_path, 0)
    for step in range(1, 6):
        log.add(row(step, a=1.0))
    again = Log(tmp_path, 3)
    assert [r["step"] for r in read(tmp_path / "log.csv")] == ["1", "2", "3"]
    again.add(row(4, a=9.0))
    assert [r["a"] for r in read(tmp_path / "log.csv")] == ["1", "1", "1", "9"]
    assert not read(Log(tmp_path, 0).path)
    assert [p.name for p in tmp_path.iterdir()] == ["log.csv"]
