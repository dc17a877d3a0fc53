"""Battery A, continued: packages with one odd thing. Each runs or is one sentence, in little time and memory."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from tests.battery.case import Case
from tests.battery.fuzz import tried
from tests.battery.odd import archives, descriptions, graphs, tensors

RUN = descriptions.RUN | {
    "test input of the other end", "zip after a program", "zip before something", "zip with names of devices",
    "zip with 9000 files", "zip with a recipe and weights beside", "zip with 200 bombs of 1 MB",
    "YAML with a mark of order", "YAML with 16 bits",
}  # fmt: skip

pytestmark = pytest.mark.slow


def odd(marker: str) -> dict[str, bytes]:
    """All packages, by name."""
    groups = (
        descriptions.descriptions(), graphs.graphs(), tensors.architectures(marker), tensors.states(),
        tensors.arrays(marker), archives.archives(), archives.yaml(), archives.former(marker),
    )  # fmt: skip
    made = {name: data for group in groups for name, data in group.items()}
    assert len(made) == sum(map(len, groups))
    return made


def package(verb: str, data: bytes) -> Case:
    return Case(("models", verb, "model.zip"), {"model.zip": data}, environment={"SEG_HOME": "home"})


def test_odd_models_are_run_or_refused_in_one_sentence(tmp_path: Path) -> None:
    marker = tmp_path / "executed"
    made = odd(str(marker))
    assert len(made) >= 300
    # All are tested; every fifth is added or shown as well, which reads packages by the same door.
    verbs = {name: ("test", *(("add", "show")[n // 5 % 2],) * (n % 5 == 0)) for n, name in enumerate(sorted(made))}
    cases = {(name, verb): partial(package, verb, data) for name, data in made.items() for verb in verbs[name]}
    found = tried(cases, tmp_path, tmp_path)
    assert {case: why for case, (_, why) in found.items() if why} == {}
    assert not marker.exists()
    ran = {name for (name, verb), (code, _) in found.items() if verb == "test" and code == 0}
    assert ran == RUN
    untrusted = {name for (name, verb), (code, _) in found.items() if verb == "test" and code == 3}
    assert untrusted == {"network with a callable of all classes"}
    assert {code for code, _ in found.values()} == {0, 3, 4}
