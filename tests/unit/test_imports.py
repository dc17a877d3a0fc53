"""What is light stays light: help and listings import nothing heavy."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from toolkit.cli import main

HEAVY = {"torch", "monai", "zarr", "scipy", "skimage", "dask", "bioimageio", "onnxruntime", "numba", "matplotlib",
         "cupy", "cc3d", "edt", "mwatershed"}  # fmt: skip


def heavy_after(code: str) -> set[str]:
    """Heavy packages that a fresh process has imported after `code`."""
    tail = f"import sys; sys.stderr.write(' '.join(set(sys.modules) & {HEAVY!r}))"
    done = subprocess.run([sys.executable, "-c", f"{code}\n{tail}"], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["--version"], [], ["plugins", "list"], ["plugins", "list", "--json"], ["plugins", "check", "--help"],
     ["run", "--help"], ["train", "--help"], ["evaluate", "--help"], ["doctor", "--help"], ["show", "unet"]],
    ids=" ".join,
)  # fmt: skip
def test_a_light_command_imports_nothing_heavy(arguments: list[str]) -> None:
    assert heavy_after(f"from toolkit.cli import main; assert main({arguments!r}) == 0") == set()


@pytest.mark.parametrize(
    "module",
    ["toolkit", "toolkit.api", "toolkit.plugins.recipe", "toolkit.builtin", "toolkit.testing", "toolkit.cli",
     "toolkit_cac", "toolkit_cpv", "toolkit_embedseg", "toolkit_ppp"],
)  # fmt: skip
def test_a_module_that_describes_imports_nothing_heavy(module: str) -> None:
    assert heavy_after(f"import {module}") == set()


def test_listing_plugins_imports_none_of_them() -> None:
    code = (
        "from toolkit.cli import main; assert main(['plugins', 'list']) == 0; import sys;"
        "assert not [m for m in sys.modules if m.startswith('toolkit_') or m.startswith('toolkit.builtin')]"
    )
    heavy_after(code)


ROOT = Path(__file__).resolve().parents[2]
POSIX = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"}


@pytest.mark.parametrize(
    "folder", [ROOT / "toolkit", *sorted((ROOT / "plugins").glob("*/toolkit_*"))], ids=lambda p: p.name
)
def test_no_module_needs_a_posix_system_to_be_imported(folder: Path) -> None:
    for path in folder.rglob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf8")).body:
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            assert not POSIX & {name.partition(".")[0] for name in names}, f"{path}:{node.lineno}"


def test_a_system_that_is_not_supported_is_refused_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    assert main(["--help"]) == 2
    assert capsys.readouterr() == (
        "",
        "error: seg does not run on Windows: win32; run it under WSL, where it finds a Linux\n",
    )
