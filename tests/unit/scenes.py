"""Random objects for the tests of metrics."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from toolkit.evaluation.evaluate import Pair
from toolkit.values.instances import Instances
from toolkit.values.truth import Truth


def labels(seed: int, shape: tuple[int, ...] = (24, 30), count: int = 6, radius: float = 6.0) -> np.ndarray:
    """A label image of up to `count` blobs that touch but do not overlap; ids have gaps and no order."""
    rng = np.random.default_rng(seed)
    out = np.zeros(shape, np.int32)
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
    for label in rng.permutation(np.arange(1, 3 * count + 1))[:count]:
        centre = rng.uniform(0, 1, len(shape)) * np.array(shape)
        size = rng.uniform(1.5, radius, len(shape))
        out[(((grid - centre) / size) ** 2).sum(-1) < 1] = label
    return out


def disturbed(image: np.ndarray, seed: int) -> np.ndarray:
    """The same objects, some shifted, some joined, some cut, some gone."""
    rng = np.random.default_rng(seed)
    out = np.roll(image, tuple(int(n) for n in rng.integers(-2, 3, image.ndim)), tuple(range(image.ndim)))
    for label in np.unique(out[out > 0]):
        fate = rng.integers(5)
        if fate == 0:
            out[out == label] = 0
        elif fate == 1:
            out[out == label] = rng.choice(out[out > 0])
        elif fate == 2:
            half = np.zeros(out.shape, bool)
            half[: out.shape[0] // 2] = True
            out[half & (out == label)] = 100 + label
    return out


def planes(seed: int, shape: tuple[int, ...] = (24, 30), count: int = 6) -> np.ndarray:
    """Overlapping objects, one plane each."""
    return np.stack([labels(seed * 1000 + k, shape, 1, 8.0) > 0 for k in range(count)])


def truth(image: np.ndarray, **about: object) -> Truth:
    return Truth.from_layers(image[None], **about)


def found(image: np.ndarray) -> Instances:
    return Instances.from_labels(image)


seeds = st.integers(0, 2**32 - 1)


def scene(count: int = 8, worse: int = 0) -> list[Pair]:
    """Images with predictions of distinct scores; `worse` times disturbed again."""
    out = []
    for seed in range(count):
        image = labels(seed)
        other = disturbed(image, seed)
        for k in range(worse):
            other = disturbed(other, seed + k + 1)
        names = np.unique(other[other > 0]).tolist()
        scores = np.random.default_rng(seed).permutation(len(names)) / 16 + seed / 512
        predicted = Instances.from_labels(other, dict(zip(names, scores.tolist(), strict=True)))
        out.append(Pair(f"image {seed}", truth(image), predicted))
    return out
