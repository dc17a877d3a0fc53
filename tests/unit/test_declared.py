"""Whatever is imported is declared: a distribution works where only what it asks for is installed."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECTS = [ROOT, *sorted(p.parent for p in (ROOT / "plugins").glob("*/pyproject.toml"))]
OURS = {"seg-toolkit": "toolkit"} | {f"seg-toolkit-{p.name}": f"toolkit_{p.name}" for p in PROJECTS[1:]}
ABSENT = {"cupy": "cupy-cuda13x", "magicgui": "magicgui", "napari": "napari", "npe2": "npe2", "qtpy": "qtpy"}
"""Optional packages that need not be installed here, and the distributions that have them."""


def canonical(requirement: str) -> str:
    """The name in a requirement, as indexes compare names."""
    name = re.match(r"[\w.-]+", requirement)
    assert name
    return re.sub(r"[-_.]+", "-", name[0]).lower()


def declared(project: Path, group: bool = False) -> set[str]:
    """Distributions that a project asks for, with its extras; or the tools of its developers."""
    plain = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf8"))
    if group:
        return {canonical(r) for r in plain["dependency-groups"]["dev"]}
    extras = plain["project"].get("optional-dependencies", {}).values()
    return {canonical(r) for r in (*plain["project"]["dependencies"], *(r for extra in extras for r in extra))}


def imported(*folders: Path) -> Iterator[tuple[str, Path]]:
    """Foreign packages that the modules below import, anywhere in them."""
    for path in (path for folder in folders for path in folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [str(node.module)] if isinstance(node, ast.ImportFrom) and not node.level else []
            # `import_module("x")` and the like.
            if (
                isinstance(node, ast.Call)
                and getattr(node.func, "id", getattr(node.func, "attr", "")) == "import_module"
            ):
                names += [str(a.value) for a in node.args if isinstance(a, ast.Constant)]
            for name in {name.partition(".")[0] for name in names} - sys.stdlib_module_names:
                yield name, path


def undeclared(modules: Iterator[tuple[str, Path]], allowed: set[str]) -> set[str]:
    """Imports that no allowed distribution provides."""
    providers = packages_distributions() | {module: [name] for name, module in OURS.items()}
    return {
        f"{name} ({path.relative_to(ROOT)})"
        for name, path in modules
        if not {canonical(d) for d in providers.get(name, [ABSENT.get(name, name)])} & allowed
    }


@pytest.mark.slow
@pytest.mark.parametrize("project", PROJECTS, ids=lambda p: p.name)
def test_a_distribution_declares_what_it_imports(project: Path) -> None:
    name = "seg-toolkit" if project == ROOT else f"seg-toolkit-{project.name}"
    assert undeclared(imported(project / OURS[name]), declared(project) | {name}) == set()


@pytest.mark.slow
def test_tests_import_what_the_tools_of_developers_are_declared_to_be() -> None:
    here = {
        "twins_of_the_page",  # a module that a test writes
        "openvino",  # a benchmark compares with it where somebody installed it
        *("biapy", "csbdeep", "tensorflow"),  # peers, in environments that benchmarks/peers.py makes
        *(p.name for p in ROOT.glob("tests/mutants/plugin/*")),
        "tests",
        "benchmarks",
        "conftest",
        *(p.stem for p in ROOT.glob("plugins/*/tests/*.py")),
        *(p.stem for p in ROOT.glob("benchmarks/**/*.py")),
    }
    folders = (ROOT / "tests", ROOT / "benchmarks", *ROOT.glob("plugins/*/tests"))
    allowed = set().union(*map(declared, PROJECTS)) | declared(ROOT, group=True) | set(OURS)
    assert undeclared((i for i in imported(*folders) if i[0] not in here), allowed) == set()
