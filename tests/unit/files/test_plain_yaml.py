"""What is written as YAML is read back as it was."""

from __future__ import annotations

import math
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from toolkit.files import plain_yaml

TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=12)
WORDS = "1e3 1e-6 12e03 yes No null ~ 1:30 0o7 0x1f 2020-01-01 .inf = <<"
ODD = st.sampled_from(["", *WORDS.split()])
ATOMS = st.none() | st.booleans() | st.integers(-(10**15), 10**15) | st.floats(allow_nan=False) | TEXTS | ODD
PLAIN = st.recursive(ATOMS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS | ODD, inner, max_size=4))


@given(PLAIN, st.booleans())
def test_what_is_written_is_read_as_it_was(data: Any, flow: bool) -> None:
    again = plain_yaml.load(plain_yaml.dump(data, flow).encode())
    assert again == data
    assert str(again) == str(data)  # 1 is not 1.0, nor True


@given(ODD)
def test_readers_of_older_yaml_see_the_same_texts(text: str) -> None:
    assert yaml.safe_load(plain_yaml.dump({"name": text})) == {"name": text}


@pytest.mark.parametrize("number", [math.inf, -math.inf, 1e-300, 1e22, 0.1])
def test_numbers_keep_every_digit(number: float) -> None:
    assert plain_yaml.load(plain_yaml.dump([number]).encode()) == [number]
