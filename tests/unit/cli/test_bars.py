"""Progress of a run on a terminal."""

from io import StringIO

from rich.console import Console

from toolkit.cli.bars import bars
from toolkit.pipeline.heard import each, listening, tell


def shown(terminal: bool) -> str:
    screen = Console(file=StringIO(), force_terminal=terminal, width=80)
    with bars(1, screen):
        tell("scale")
        assert list(each("windows", "abcd", 4)) == [*"abcd"]
        tell("write")
    return screen.file.getvalue()


def test_of_one_image_stages_and_windows_are_shown_in_eighty_columns() -> None:
    said = shown(terminal=True)
    assert "write" in said
    assert "…" not in said


def test_nobody_is_told_where_the_screen_is_no_terminal() -> None:
    assert shown(terminal=False) == ""


def test_a_stage_counts_what_is_there_of_what_there_will_be() -> None:
    heard: list[tuple[str, int, int]] = []
    with listening(lambda *what: heard.append(what)):
        list(each("windows", "ab", 2))
        tell("write")
    tell("nobody")
    assert heard == [("windows", 1, 2), ("windows", 2, 2), ("write", 0, 0)]
