"""The table of faults fits the sources, and what plants them tells caught from survived."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.mutants import __main__ as command
from tests.mutants.fault import ROOT, Fault, part, table
from tests.mutants.plant import CAUGHT, ERROR, SURVIVED, Bed, Outcome, copied

FAULTS = table()


def test_each_fault_is_where_the_table_says() -> None:
    odd = [f.name for f in FAULTS if (ROOT / f.file).read_text("utf8").count(f.old) != 1 or f.old == f.new]
    assert odd == []


@pytest.mark.slow
def test_each_named_test_is_there() -> None:
    named = {test.partition("[")[0] for fault in FAULTS for test in fault.tests}
    there = {
        f"{file}::{node.name}"
        for file in {name.partition("::")[0] for name in named}
        for node in ast.walk(ast.parse((ROOT / file).read_text("utf8")))
        if isinstance(node, ast.FunctionDef)
    }
    assert sorted(named - there) == []


def test_there_are_many_faults_of_different_names_and_twelve_are_the_battery() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS) >= 80
    assert sum(fault.battery for fault in FAULTS) == 12


def test_parts_are_all_faults_and_each_has_the_battery() -> None:
    parts = [part(FAULTS, f"{k}/4") for k in (1, 2, 3, 4)]
    assert {fault for some in parts for fault in some} == set(FAULTS)
    assert all(sum(fault.battery for fault in some) == 12 for some in parts)
    assert max(map(len, parts)) <= len(FAULTS) / 4 + 13


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "answer.py").write_text("def answer():\n    return 42\n")
    (tree / "test_answer.py").write_text(
        "from answer import answer\n\ndef test_value():\n    assert answer() == 42\n\n"
        "def test_kind():\n    assert isinstance(answer(), int)\n"
    )
    return tree


def fault(old: str, new: str, test: str) -> Fault:
    return Fault("another answer", "answer.py", old, new, (f"test_answer.py::{test}",))


@pytest.mark.slow
def test_a_fault_is_caught_or_survives_or_cannot_be_planted_and_is_gone_afterwards(tree: Path) -> None:
    before = (tree / "answer.py").read_text()
    cases = [("42", "24", "test_value"), ("42", "43", "test_kind"), ("7", "8", "test_value"), ("42", "1", "test_gone"),
             ("42", "(", "test_value"), ("42", "__import__('os').abort()", "test_value"),
             ("42", "__import__('os').kill(__import__('os').getpid(), 9)", "test_value")]  # fmt: skip
    with Bed(tree) as bed:
        assert [bed.plant(fault(*case)).result for case in cases] == [CAUGHT, SURVIVED, *[ERROR] * 3, CAUGHT, ERROR]
        assert (tree / "answer.py").read_text() == before
        assert bed.sound([fault(*cases[0])]) == ""
        assert "test_gone" in bed.sound([fault(*cases[3])])


@pytest.mark.slow
def test_tests_that_take_too_long_are_ended(tree: Path) -> None:
    (tree / "test_long.py").write_text("import time\n\ndef test_long():\n    time.sleep(60)\n")
    with Bed(tree) as bed:
        assert bed.run(["test_long.py::test_long"], limit=3)[0] is None
        assert bed.run(["test_answer.py::test_value"])[0] == 0


def test_a_copy_holds_what_the_checkout_holds() -> None:
    with copied() as copy:
        assert (copy / "toolkit" / "errors.py").read_bytes() == (ROOT / "toolkit" / "errors.py").read_bytes()
        assert not (copy / ".git").exists()
    assert not copy.exists()


@pytest.mark.parametrize(
    ("results", "reason", "battery", "status"),
    [
        ([CAUGHT] * 20, "", False, 0),
        ([CAUGHT] * 19 + [SURVIVED], "nobody could see it", False, 0),
        ([CAUGHT] * 19 + [SURVIVED], "", False, 1),
        ([CAUGHT] * 19 + [SURVIVED], "nobody could see it", True, 1),
        ([CAUGHT] * 18 + [SURVIVED] * 2, "nobody could see it", False, 1),
        ([CAUGHT] * 19 + [ERROR], "nobody could see it", False, 1),
    ],
)
def test_enough_must_be_caught_and_the_rest_have_a_reason(
    results: list[str], reason: str, battery: bool, status: int
) -> None:
    one = Fault("a", "b", "c", "d", (), battery, reason)
    assert command.judged([Outcome(one, result, "", 1.0) for result in results]) == status
