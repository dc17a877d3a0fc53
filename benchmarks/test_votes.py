"""Voting for centres and the seeded watershed on 64×512×512 against NumPy, SciPy and scikit-image, in one run.

pytest benchmarks/test_votes.py -s
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage
from skimage.segmentation import watershed
from toolkit_cpv.vote import counted, targets
from toolkit_cpv.watershed import SdtWatershed

from toolkit.gpu.backend import Backend
from toolkit.values.instances import Instances
from toolkit.values.prediction import Prediction
from toolkit.values.tiles import Box

SHAPE = (64, 512, 512)


@pytest.fixture(scope="module")
def heads() -> dict[str, NDArray[np.float32]]:
    """What a good network says of 1500 balls: a noisy signed distance and noisy vectors to their centres."""
    rng = np.random.default_rng(0)
    outside = np.ones(SHAPE, bool)
    outside[tuple(rng.integers(0, SHAPE, (1500, 3)).T)] = False
    distance, nearest = ndimage.distance_transform_edt(outside, return_indices=True)
    vectors = (nearest - np.indices(SHAPE)).astype(np.float32) + rng.normal(0, 1, (3, *SHAPE)).astype(np.float32)
    sdt = np.tanh((distance - 9 + rng.normal(0, 0.1, SHAPE)) / 9)
    return {"sdt": sdt[None].astype(np.float32), "cpv": vectors}


def test_voting_is_faster_than_counting_in_numpy(benchmark, heads) -> None:
    box = Box.whole(SHAPE)
    rows, everyone = heads["cpv"].reshape(3, -1).T, np.arange(box.size)

    def vote() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        return counted(targets(rows, everyone, Prediction({}, box, box, SHAPE)))

    def naive() -> NDArray[np.int64]:
        place = np.indices(SHAPE) + np.rint(heads["cpv"]).astype(np.int64)
        fits = np.all((place >= 0) & (place < np.array(SHAPE)[:, None, None, None]), axis=0)
        return np.bincount(np.ravel_multi_index(tuple(place[:, fits]), SHAPE), minlength=int(np.prod(SHAPE)))

    index, count = benchmark.pedantic(vote, rounds=3, warmup_rounds=1)
    expected = naive()
    np.testing.assert_array_equal(count, expected[index])
    assert count.sum() == expected.sum()
    ours, theirs = _timed(vote, naive)
    print(f"\nvotes of 64×512×512: {ours:.3f} s, NumPy {theirs:.2f} s, ×{theirs / ours:.0f}")
    assert theirs > ours


def test_the_watershed_is_faster_than_that_of_scikit_image(benchmark, heads) -> None:
    spec = SdtWatershed(dilations=0)
    (sdt,) = heads["sdt"]
    prediction = Prediction(heads, Box.whole(SHAPE), Box.whole(SHAPE), SHAPE)

    def naive() -> Instances:
        seeds, _ = ndimage.label(sdt < spec.seed)
        return Instances.from_labels(watershed(sdt, seeds, mask=sdt < spec.foreground))

    mine = benchmark.pedantic(spec.assemble, (prediction, Backend()), rounds=3, warmup_rounds=1)
    assert len(mine) == len(naive())
    ours, theirs = _timed(lambda: spec.assemble(prediction, Backend()), naive)
    print(f"\nwatershed, {len(mine)} objects: {ours:.2f} s, scikit-image {theirs:.2f} s, ×{theirs / ours:.1f}")
    assert theirs > ours


def _timed(*work: Callable[[], object], rounds: int = 3) -> tuple[float, ...]:
    """The least time of each, taking turns."""
    times = [[np.inf] * rounds for _ in work]
    for number in range(rounds):
        for one, seen in zip(work, times, strict=True):
            began = time.perf_counter()
            one()
            seen[number] = time.perf_counter() - began
    return tuple(map(min, times))
