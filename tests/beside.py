"""Data sets and results of published programs that a checkout of the project may have beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


def beside(path: str) -> Path:
    """A file or folder of `../shared`; skips the test where it is missing."""
    found = SHARED / path
    if not found.exists():
        pytest.skip(f"../shared/{path} is not beside this checkout")
    return found


def oracle(name: str) -> dict[str, np.ndarray]:
    """The arrays of one oracle."""
    with np.load(beside(f"oracles/{name}.npz"), allow_pickle=False) as data:
        return dict(data)
