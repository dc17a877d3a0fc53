"""Crowds of blobs, as truth and as what a network would say about them."""

from __future__ import annotations

import numpy as np

from toolkit.api import Box, Prediction


def labels(seed: int, shape: tuple[int, ...], count: int = 6, radius: float = 6.0) -> np.ndarray:
    """A label image of up to `count` ellipsoids that touch but do not overlap."""
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
    out = np.zeros(shape, np.int32)
    for label in rng.permutation(np.arange(1, 3 * count + 1))[:count]:
        size = rng.uniform(1.5, radius, len(shape))
        out[(((grid - rng.uniform(0, shape)) / size) ** 2).sum(-1) < 1] = label
    return out


def heads(seed: int, shape: tuple[int, ...], coarse: bool = False) -> dict[str, np.ndarray]:
    """All heads of the plugin for one noisy scene; `coarse` values tie often."""
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
    centres = rng.uniform(0, shape, (max(2, int(np.prod(shape)) // 180), len(shape)))
    gap = centres - grid[..., None, :]
    distance = np.sqrt((gap**2).sum(-1))
    nearest = distance.argmin(-1)
    vectors = np.take_along_axis(gap, nearest[..., None, None], -2)[..., 0, :] + rng.normal(0, 1, grid.shape)
    depth = (distance.min(-1) - 5) / 9 + rng.normal(0, 0.08, shape)
    if coarse:
        depth = np.round(depth * 8) / 8
    interior, background = 1 / (1 + np.exp(20 * depth + 3)), 1 / (1 + np.exp(-20 * depth + 3))
    found = {
        "three_label": np.stack([background, interior, np.clip(1 - background - interior, 0, 1)]),
        "sdt": np.tanh(depth)[None],
        "affinities": np.stack([1 / (1 + np.exp(20 * depth - k)) for k in range(len(shape))]),
        "foreground": 1 / (1 + np.exp(20 * depth))[None],
        "gauss": np.exp(-(distance.min(-1) ** 2) / 8)[None] + (0 if coarse else rng.normal(0, 0.03, (1, *shape))),
        "cpv": np.moveaxis(vectors, -1, 0),
    }
    return {name: np.ascontiguousarray(head, np.float32) for name, head in found.items()}


def whole(found: dict[str, np.ndarray], voxel_size: tuple[float, ...] = ()) -> Prediction:
    shape = next(iter(found.values())).shape[1:]
    return Prediction(found, Box.whole(shape), Box.whole(shape), shape, voxel_size or (1.0,) * len(shape))
