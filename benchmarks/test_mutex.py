"""The mutex watershed is fast enough: CPU seconds of one core on noisy affinities without any background."""

from __future__ import annotations

import time

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial import cKDTree

from toolkit.builtin.postprocessors.mutex import MutexWatershed, usual_offsets
from toolkit.gpu.backend import Backend
from toolkit.testing.blockwise import prediction
from toolkit.values.offsets import ends

PLANE = (*usual_offsets(2), (-5, 0), (0, -5), (-9, -9), (9, -9))


@pytest.mark.parametrize(
    ("shape", "offsets", "objects", "limit"),
    [((512, 512), PLANE, 300, 1.5), ((64, 256, 256), usual_offsets(3), 400, 30.0)],
    ids=["512²", "64×256²"],
)
def test_twelve_affinities_are_partitioned_in_time(
    shape: tuple[int, ...], offsets: tuple[tuple[int, ...], ...], objects: int, limit: float
) -> None:
    rng = np.random.default_rng(0)
    grid = np.stack(np.indices(shape), -1).reshape(-1, len(shape))
    labels = cKDTree(rng.uniform(0, shape, (objects, len(shape)))).query(grid)[1].reshape(shape)
    affinities = ndimage.uniform_filter(rng.random((12, *shape), np.float32), (0, *(3,) * len(shape))) - 0.5
    affinities += rng.normal(0, 0.05, affinities.shape).astype(np.float32)
    for affinity, offset in zip(affinities, offsets, strict=True):
        here, there = ends(shape, offset)
        affinity[here] += labels[here] == labels[there]
    heads = {"affinities": affinities.clip(0, 1), "foreground": np.ones((1, *shape), np.float32)}
    whole = prediction(heads, (1.0,) * len(shape))
    spent = []
    for _ in range(2):
        began = time.process_time()
        found = MutexWatershed(offsets=offsets).assemble(whole, Backend())
        spent.append(time.process_time() - began)
    assert 0.9 * objects <= len(found) <= 1.1 * objects
    assert min(spent) < limit, f"{min(spent):.1f} CPU seconds"
