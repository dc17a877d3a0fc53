from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.files.plain_text import cell, document, shown

ANY = st.text(st.characters(exclude_categories=()))
PLAIN = st.text(st.characters(categories=("L", "N", "P", "S", "M"), max_codepoint=0xDFFFF) | st.just(" "))


def invisible(text: str) -> list[str]:
    """Controls, marks of format and of lines, halves of characters."""
    return [letter for letter in text if unicodedata.category(letter) in ("Cc", "Cf", "Zl", "Zp", "Cs")]


@given(ANY)
def test_what_is_shown_is_visible_and_one_line(text: str) -> None:
    assert invisible(shown(text)) == []
    assert shown(shown(text)) == shown(text)
    shown(text).encode()


@given(PLAIN)
def test_visible_text_stays_as_it_is(text: str) -> None:
    assert shown(text) == text


@given(ANY)
def test_lines_stay_lines_where_they_may(text: str) -> None:
    assert {*invisible(shown(text, lines=True))} <= {"\n", "\t"}
    assert shown(text, lines=True).count("\n") == text.count("\n")


@given(st.dictionaries(ANY, st.recursive(ANY | st.integers() | st.none(), lambda inner: st.lists(inner, max_size=3))))
def test_a_document_says_what_it_was_given_and_shows_nothing_odd(data: dict) -> None:
    text = document(data)
    assert {*invisible(text)} <= {"\n"}
    assert json.loads(text) == json.loads(json.dumps(data))


ESCAPES = {
    "\x1b]52;c;cm0=\x07": "\\x1b]52;c;cm0=\\x07", "\u202egpj": "\\u202egpj", "a\r\n  b": "a b", "\x9b31m": "\\x9b31m",
    "\udcff.tif": "\\xff.tif", "\U000e0041": "\\U000e0041", "[/b]é µ": "[/b]é µ",
}  # fmt: skip


@pytest.mark.parametrize(("text", "said"), ESCAPES.items())
def test_what_is_not_visible_is_an_escape(text: str, said: str) -> None:
    assert shown(text) == said


@given(
    st.sampled_from(["=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20"]),
    st.sampled_from(["", " ", "\t", "\r\n"]),
    ANY,
)
def test_no_cell_is_a_formula(sign: str, before: str, rest: str) -> None:
    found = cell(before + sign + rest)
    assert isinstance(found, str)
    assert found.startswith("'")


@pytest.mark.parametrize("value", ["a=1", "nucleus 3", 1.5, -2, None, True, ""])
def test_other_cells_stay_as_they_are(value: object) -> None:
    assert cell(value) is value or cell(value) == value
