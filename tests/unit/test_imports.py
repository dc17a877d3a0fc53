"""What is light stays light: help and listings import nothing heavy."""

from __future__ import annotations

import subprocess
import sys

import pytest

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
    "module", ["toolkit", "toolkit.api", "toolkit.plugins.recipe", "toolkit.builtin", "toolkit.testing", "toolkit.cli"]
)
def test_a_module_that_describes_imports_nothing_heavy(module: str) -> None:
    assert heavy_after(f"import {module}") == set()


def test_listing_plugins_imports_none_of_them() -> None:
    code = (
        "from toolkit.cli import main; assert main(['plugins', 'list']) == 0; import sys;"
        "assert not [m for m in sys.modules if m.startswith('toolkit_') or m.startswith('toolkit.builtin')]"
    )
    heavy_after(code)
