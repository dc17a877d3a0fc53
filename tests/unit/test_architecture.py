"""What holds of the source as a whole: no circle, nothing upwards, small files, no plugin's name in the core."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MOST_LINES = 250
MOST_UNITS = 24
NAMES = re.compile(r"(?<![a-z])(ppp|patchperpix|embedseg|cpv|cac)(?![a-z])", re.IGNORECASE)


@cache
def modules() -> dict[str, Path]:
    """All modules of the core and of the plugins by name."""
    found = {}
    for package in (ROOT / "toolkit", *ROOT.glob("plugins/*/toolkit_*")):
        for path in package.rglob("*.py"):
            parts = path.relative_to(package.parent).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported(source: str, known: dict[str, Path]) -> Iterator[str]:
    """The modules of `known` that `source` imports: anywhere in it, also inside functions and for types alone."""
    for node in ast.walk(ast.parse(source)):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are absolute"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            while name and name not in known:
                name = name.rpartition(".")[0]
            if name:
                yield name


@cache
def graph() -> dict[str, set[str]]:
    """Each module and those that it imports."""
    return {name: {*imported(path.read_text("utf8"), modules())} - {name} for name, path in modules().items()}


def circle(imports: dict[str, set[str]]) -> list[str]:
    """A circle of imports, its first module again at its end; empty if there is none."""
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_imports_form_a_circle() -> None:
    assert len(graph()) > 250
    assert circle(graph()) == []


def test_a_circle_is_found_wherever_its_imports_stand() -> None:
    known = {"toolkit.a": ROOT, "toolkit.b": ROOT}
    typed = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from toolkit.b import B\n"
    late = "def f():\n    from toolkit import a\n"
    assert circle({"toolkit.a": {*imported(typed, known)}, "toolkit.b": {*imported(late, known)}})
    assert not circle({"toolkit.a": {*imported(typed, known)}, "toolkit.b": set()})


def test_no_import_goes_upwards() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf8"))["tool"]["importlinter"]["contracts"]
    (layers,) = (c["layers"] for c in contracts if c["type"] == "layers" and c["containers"] == ["toolkit"])
    height = {unit.strip(): -row for row, layer in enumerate(layers) for unit in layer.split("|")}
    upwards = [
        f"{name} imports {other}"
        for name, others in graph().items()
        for other in others
        if name.startswith("toolkit.") and "." in other
        and (a := name.split(".")[1]) != (b := other.split(".")[1]) and height[a] <= height[b]
    ]  # fmt: skip
    assert upwards == []


def test_every_layer_and_module_of_a_contract_is_there() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf8"))["tool"]["importlinter"]["contracts"]
    (layers,) = (c["layers"] for c in contracts if c["type"] == "layers" and c["containers"] == ["toolkit"])
    named = [f"toolkit.{unit.strip()}" for layer in layers for unit in layer.split("|")]
    named += [name for c in contracts for name in c.get("source_modules", ()) if "*" not in name]
    assert [name for name in named if name not in modules()] == []


def test_a_file_fits_in_the_head() -> None:
    long = {
        str(p.relative_to(ROOT)): n
        for p in modules().values()
        if (n := len(p.read_text("utf8").split("\n"))) > MOST_LINES + 1
    }
    assert long == {}


def test_the_core_names_no_plugin() -> None:
    core = (path for path in modules().values() if path.is_relative_to(ROOT / "toolkit"))
    assert {str(p.relative_to(ROOT)) for p in core if NAMES.search(p.read_text("utf8"))} == set()


def test_few_units_stand_at_the_top_of_the_core() -> None:
    assert len({name.split(".")[1] for name in modules() if name.startswith("toolkit.")}) <= MOST_UNITS
