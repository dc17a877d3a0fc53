"""Augmentations: the same object, seen otherwise. Pure functions of a sample and a random generator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import UsageError, nearest
from toolkit.values.truth import Truth


@dataclass(frozen=True, eq=False)
class Sample:
    """A crop: normalised voxels `(C, *S)` float32 and what is true of them."""

    voxels: NDArray[np.float32]
    truth: Truth


Augmentation = Callable[[Sample, np.random.Generator], Sample]


def flip(sample: Sample, rng: np.random.Generator) -> Sample:
    """Mirror each axis with probability 1/2."""
    return _reindex(sample, tuple(range(sample.truth.ndim)), rng.random(sample.truth.ndim) < 0.5)


def rotate(sample: Sample, rng: np.random.Generator) -> Sample:
    """Exchange axes of equal extent and voxel size; with `flip` these are all axis-aligned rotations."""
    shape, size = sample.truth.shape, sample.truth.voxel_size
    same = [
        p
        for p in permutations(range(len(shape)))
        if all((shape[a], size[a]) == (shape[b], size[b]) for a, b in enumerate(p))
    ]
    return _reindex(sample, same[rng.integers(len(same))], np.zeros(len(shape), bool))


def _reindex(sample: Sample, order: tuple[int, ...], mirrored: NDArray[np.bool_]) -> Sample:
    """Axis a of the result is axis `order[a]`, mirrored where said."""
    truth = sample.truth
    turn = (slice(None), *(slice(None, None, -1) if m else slice(None) for m in mirrored))
    channel_order = (0, *(a + 1 for a in order))
    centres = truth.centres[:, order]
    centres = np.where(mirrored, np.array([truth.shape[a] for a in order]) - 1 - centres, centres)
    return Sample(
        np.ascontiguousarray(sample.voxels.transpose(channel_order)[turn]),
        replace(
            truth,
            layers=np.ascontiguousarray(truth.layers.transpose(channel_order)[turn]),
            void=None if truth.void is None else np.ascontiguousarray(truth.void.transpose(order)[turn[1:]]),
            centres=centres,
        ),
    )


def intensity(sample: Sample, rng: np.random.Generator) -> Sample:
    """Another exposure: gain, offset and gamma per channel."""
    voxels = sample.voxels
    column = (-1, *(1,) * (voxels.ndim - 1))
    gain = np.exp(rng.uniform(-0.4, 0.4, len(voxels))).reshape(column)
    offset = rng.uniform(-0.1, 0.1, len(voxels)).reshape(column)
    gamma = np.exp(rng.uniform(-0.35, 0.35, len(voxels))).reshape(column)
    curved = np.sign(voxels) * np.abs(voxels) ** gamma
    return replace(sample, voxels=(curved * gain + offset).astype(np.float32))


def noise(sample: Sample, rng: np.random.Generator) -> Sample:
    """Blur or Gaussian noise, each in a third of the samples."""
    from scipy.ndimage import gaussian_filter

    choice = rng.integers(3)
    if choice == 0:
        return sample
    if choice == 1:
        sigma = (0.0, *(rng.uniform(0.3, 1.3),) * sample.truth.ndim)
        return replace(sample, voxels=gaussian_filter(sample.voxels, sigma).astype(np.float32))
    added = rng.normal(0, rng.uniform(0.01, 0.08), sample.voxels.shape)
    return replace(sample, voxels=(sample.voxels + added).astype(np.float32))


KNOWN: dict[str, Augmentation] = {"flip": flip, "rotate": rotate, "intensity": intensity, "noise": noise}
SPATIAL = ("scale", "elastic")
"""These need a larger crop to look into; `toolkit.training.warp` does them while cropping."""


def chosen(names: tuple[str, ...]) -> list[Augmentation]:
    """The augmentations of a recipe, in order; raises `UsageError` with the nearest name."""
    for name in names:
        if name not in KNOWN and name not in SPATIAL:
            raise UsageError("no such augmentation", f"training.augment: {name}", nearest(name, [*KNOWN, *SPATIAL]))
    return [KNOWN[name] for name in names if name in KNOWN]
