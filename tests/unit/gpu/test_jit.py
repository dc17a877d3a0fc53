"""Compiled functions are those of the sources that are there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numba.core.caching import CompileResultCacheImpl

from toolkit.gpu.jit import jit

SOURCES = {
    "__init__.py": "",
    "inner.py": "from toolkit.gpu.jit import jit\n\n@jit\ndef inner(x):\n    return x + 1\n",
    "outer.py": "from toolkit.gpu.jit import jit\nfrom compiled.inner import inner\n\n"
    "@jit\ndef outer(x):\n    return 10 * inner(x)\n",
}
ASK = "from compiled.outer import outer; print(outer(2), sum(outer.stats.cache_hits.values()))"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    for name, text in SOURCES.items():
        (tmp_path / "compiled").mkdir(exist_ok=True)
        (tmp_path / "compiled" / name).write_text(text)
    return tmp_path


def asked(package: Path) -> list[int]:
    """What the function of another process gives, and whether it came from the cache."""
    path = os.pathsep.join([str(package), *filter(None, sys.path)])
    run = subprocess.run([sys.executable, "-c", ASK], env={**os.environ, "PYTHONPATH": path}, capture_output=True,
                         check=True, text=True)  # fmt: skip
    return [int(n) for n in run.stdout.split()]


@pytest.mark.slow
def test_a_function_is_compiled_once_and_again_where_one_that_it_calls_has_changed_in_another_file(
    package: Path,
) -> None:
    assert [asked(package), asked(package)] == [[30, 0], [30, 1]]
    inner = package / "compiled" / "inner.py"
    inner.write_text(inner.read_text().replace("x + 1", "x + 7"))
    assert [asked(package), asked(package)] == [[90, 0], [90, 1]]


def doubled(values: np.ndarray) -> float:
    total = 0.0
    for value in values:
        total += 2 * value
    return total


def test_without_a_place_for_the_cache_functions_are_compiled_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CompileResultCacheImpl, "_locator_classes", [])
    assert jit(doubled)(np.arange(4.0)) == 12
