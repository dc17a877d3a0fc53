"""A thousand images of the size of dsb2018, all metrics, with bootstrap intervals, on two processes.

pytest benchmarks/test_evaluation.py -s
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import tifffile

from toolkit.cli import main

IMAGES = 1000
MUST = 60.0
"""Seconds on two cores."""


def discs(rng: np.random.Generator, shift: float) -> np.ndarray:
    """A label image of 256² with about forty discs in a loose grid."""
    y, x = np.mgrid[:256, :256]
    i, j = y // 40, x // 40
    centre, radius = rng.uniform(-4, 4, (7, 7, 2)) + shift, rng.uniform(9, 15, (7, 7))
    inside = (y - i * 40 - 20 - centre[i, j, 0]) ** 2 + (x - j * 40 - 20 - centre[i, j, 1]) ** 2 < radius[i, j] ** 2
    return np.where(inside, i * 7 + j + 1, 0).astype(np.uint16)


def test_a_thousand_images_take_less_than_a_minute(tmp_path: Path) -> None:
    for folder, seed, shift in (("truth", 0, 0.0), ("predicted", 1, 1.0)):
        (tmp_path / folder).mkdir()
        rng = np.random.default_rng(seed)
        for k in range(IMAGES):
            tifffile.imwrite(tmp_path / folder / f"{k:04}.tif", discs(rng, shift))
    began = time.perf_counter()
    assert main(["evaluate", str(tmp_path / "predicted"), str(tmp_path / "truth"), "--workers", "2"]) == 0
    seconds = time.perf_counter() - began
    print(
        f"\nevaluation of {IMAGES} images, all metrics, intervals, two processes: {seconds:.0f} s (must < {MUST:.0f} s)"
    )
    assert seconds < MUST
