"""A slice of the fuzz; `python -m tests.battery.fuzz 2000` is the whole of it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.battery.bending import bent
from tests.battery.fuzz import CODES, fuzzed
from tests.battery.fuzzed import KINDS, case

SLICE = 200


@pytest.mark.slow
def test_whatever_people_get_from_others_is_read_or_refused_in_one_sentence(tmp_path: Path) -> None:
    found = fuzzed(range(SLICE), tmp_path)
    assert {seed: why for seed, (_, why) in found.items() if why} == {}
    codes = Counter(code for code, _ in found.values())
    assert codes.keys() == CODES
    # Some changes do no harm, such as those of texts; most do.
    assert SLICE / 6 < codes[0] < SLICE / 2


def test_a_case_is_a_function_of_its_number_and_all_kinds_are_among_few() -> None:
    """But for journals and results, whose bytes are those of a run."""
    few = range(sum(weight for kind, weight in KINDS.items() if kind.__name__ not in ("_journal", "result")))
    assert [case(seed) for seed in few] == [case(seed) for seed in few]
    assert {case(seed).arguments[:2] for seed in few} > {("models", "add"), ("models", "test"), ("run", "--from")}


def test_data_are_changed_in_a_copy() -> None:
    import random

    document = {"a": [1, {"b": "c"}], "d": None}
    changed = [bent(document, random.Random(seed)) != document for seed in range(100)]
    assert document == {"a": [1, {"b": "c"}], "d": None}
    assert sum(changed) > 90
