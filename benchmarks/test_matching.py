"""One-to-one matching of 10 000 objects at 11 thresholds, against stardist, in one run.

pytest benchmarks/test_matching.py -s
"""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from toolkit.steps.matching import overlap
from toolkit.values.instances import Instances

PERCENTS = (10, 20, 30, 40, 50, 55, 60, 70, 80, 90, 95)
MUST = 100
"""How much faster than stardist."""


def cells(rows: int, seed: int) -> NDArray[np.int32]:
    """`rows`² discs of random size, each somewhere in its 20 × 20 field."""
    rng = np.random.default_rng(seed)
    field = 20
    y, x = np.mgrid[: rows * field, : rows * field]
    i, j = y // field, x // field
    shift, radius = rng.uniform(-3, 3, (rows, rows, 2)), rng.uniform(6, 9, (rows, rows))
    dy = y - (i * field + field / 2 + shift[i, j, 0])
    dx = x - (j * field + field / 2 + shift[i, j, 1])
    return np.where(dy**2 + dx**2 < radius[i, j] ** 2, i * rows + j + 1, 0).astype(np.int32)


def ours(a: NDArray[np.int32], b: NDArray[np.int32]) -> list[int]:
    """True positives at each threshold, from label images."""
    overlaps = overlap(Instances.from_labels(a), Instances.from_labels(b))
    return [overlaps.match(percent).tp for percent in PERCENTS]


def test_matching_of_10_000_objects(benchmark) -> None:
    a, b = cells(100, 0), cells(100, 1)
    true, predicted = Instances.from_labels(a), Instances.from_labels(b)
    assert len(true) == 10_000

    def match() -> list[int]:
        overlaps = overlap(true, predicted)
        return [overlaps.match(percent).tp for percent in PERCENTS]

    assert len(benchmark(match)) == len(PERCENTS)


def test_matching_from_label_images_is_a_hundred_times_as_fast_as_stardist(benchmark) -> None:
    import stardist.matching as stardist

    a, b = cells(100, 0), cells(100, 1)
    mine = benchmark.pedantic(ours, (a, b), rounds=5, warmup_rounds=1)
    best = min(_timed(lambda: ours(a, b)) for _ in range(3))
    theirs: list[int] = []

    def peer() -> None:
        theirs.extend(m.tp for m in stardist.matching(a, b, thresh=tuple(p / 100 for p in PERCENTS)))

    spent = _timed(peer)
    print(f"\nours {best:.3f} s, stardist {spent:.1f} s, ratio {spent / best:.0f}")
    assert mine == theirs
    assert spent > MUST * best


def _timed(work) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
