"""Results of the published program, which a checkout of the project may have beside it."""

from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).resolve().parents[4] / "shared" / "oracles"


def oracle(name: str) -> dict[str, np.ndarray]:
    path = FOLDER / f"{name}.npz"
    if not path.is_file():
        pytest.skip(f"{name}.npz is not beside this checkout")
    with np.load(path, allow_pickle=False) as data:
        return dict(data)
