"""Before a run is begun: fewer processes, a question, or an error."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import typer

from tests.unit.running.test_plan import ahead
from toolkit.cli.agreed import begin, within
from toolkit.cli.wish import Wish
from toolkit.errors import OutOfMemory
from toolkit.running.options import Options

WISH = Wish(inputs=("a.tif",))


def test_processes_are_fewer_where_memory_is_short_unless_the_user_said_how_many(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = Options(tmp_path, workers=4)
    assert within(ahead(), options, WISH, 5.0) == (
        ahead(processes=2, seconds=16.0, gigabytes=4.0),
        replace(options, workers=2),
    )
    assert "2 processes, not 4" in capsys.readouterr().err
    assert within(ahead(), options, WISH, 9.0) == (ahead(), options)
    chosen = replace(WISH, workers=4)
    assert within(ahead(), options, chosen, 5.0) == (ahead(), options)
    with pytest.raises(OutOfMemory):
        begin(ahead(), options, chosen, 5.0)


@pytest.mark.parametrize(("terminal", "yes", "answer", "asked"), [
    (True, False, True, True), (True, False, False, True), (True, True, False, False), (False, False, False, False),
])  # fmt: skip
def test_a_run_of_hours_is_said_and_only_a_person_is_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    terminal: bool, yes: bool, answer: bool, asked: bool,
) -> None:  # fmt: skip
    questions = []
    monkeypatch.setattr(typer, "confirm", lambda *text, **_: questions.append(text) or answer)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: terminal)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    wish, options = replace(WISH, yes=yes), Options(tmp_path)
    if asked and not answer:
        with pytest.raises(typer.Abort):
            begin(ahead(seconds=7200.0), options, wish, 99.0)
    else:
        begin(ahead(seconds=7200.0), options, wish, 99.0)
    assert bool(questions) == asked
    assert "about 2.0 hours" in capsys.readouterr().err
    begin(ahead(seconds=3600.0), options, wish, 99.0)
    assert capsys.readouterr().err == ""
