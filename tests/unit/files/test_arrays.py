from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.files import arrays
from toolkit.values.fragment import Fragment
from toolkit.values.instances import Instances
from toolkit.values.tiles import Box

WORDS = st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), max_size=5)


@dataclass(frozen=True)
class Said:
    words: np.ndarray


def through(value: Any) -> Any:
    return arrays.whole(type(value), *arrays.flat(value))


@given(WORDS, st.sampled_from("<>="))
def test_texts_come_back_as_they_were(words: list[str], order: str) -> None:
    array = np.array(words, str)
    array = array.astype(array.dtype.newbyteorder(order))
    found = through(Said(array)).words
    assert found.tolist() == words
    assert found.dtype == np.array(words, str).dtype


def test_a_fragment_whose_objects_have_texts_is_read_as_it_was_written(tmp_path: Path) -> None:
    objects = Instances.from_labels(np.array([[1, 0, 2]]), attributes={"class": np.array(["cell", "Zelle ü"])})
    box = Box.whole((1, 3))
    arrays.write(tmp_path / "a", Fragment(objects, box, box, (1, 3)))
    found = arrays.read(tmp_path / "a", Fragment)
    assert found.instances.attributes["class"].tolist() == ["cell", "Zelle ü"]
    assert found.instances == objects


@pytest.mark.parametrize("array", [np.array([None]), np.array([b"x"]), np.zeros(1, np.longdouble)])
def test_what_is_neither_a_number_nor_a_text_has_no_file_form(array: np.ndarray) -> None:
    with pytest.raises(TypeError, match=r"Said\.words has dtype .*, which has no file form"):
        arrays.flat(Said(array))
