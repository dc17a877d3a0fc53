from __future__ import annotations

import numpy as np
import pytest
from numba.core.caching import CompileResultCacheImpl

from toolkit.gpu.jit import jit


def doubled(values: np.ndarray) -> float:
    total = 0.0
    for value in values:
        total += 2 * value
    return total


def test_without_a_place_for_the_cache_functions_are_compiled_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CompileResultCacheImpl, "_locator_classes", [])
    assert jit(doubled)(np.arange(4.0)) == 12
