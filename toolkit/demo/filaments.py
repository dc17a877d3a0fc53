"""Generated micrographs of filaments that cross: thin, curved, bright objects that share pixels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Planes = NDArray[np.bool_]


def filaments(shape: Sequence[int], count: int, seed: int) -> tuple[NDArray[np.uint8], Planes]:
    """An 8-bit image `(Y, X)` and one plane `(Q, Y, X)` for each of at most `count` filaments that can be seen.

    Curvature follows a random walk; lengths are 40 to 220 pixels, widths 5 to 10. Light adds up where filaments cross,
    or the brighter one hides the other; the image is blurred, unevenly lit and noisy. The same seed gives the same.
    """
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(seed)
    adds, planes, light = rng.random() < 0.6, [], np.zeros(shape)
    spread = rng.uniform(0.5, 1.0)
    for _ in range(count):
        distance, radius = _distance(_path(rng, shape), shape), rng.uniform(2.5, 5.0)
        plane = distance < radius
        if plane.sum() < 100:
            continue
        planes.append(plane)
        # A tube is brightest in its middle; `spread` tells how much.
        profile = np.sqrt(np.clip(1 - spread * (distance / radius) ** 2, 0, 1)) * plane * rng.uniform(0.45, 1.0)
        light = light + profile if adds else np.maximum(light, profile)
    slope = np.linspace(-1, 1, shape[0])[:, None] * rng.normal() + np.linspace(-1, 1, shape[1]) * rng.normal()
    clean = gaussian_filter(light, rng.uniform(0.5, 1.3)) + 0.04 * slope
    noisy = clean + rng.normal(0, rng.uniform(0.02, 0.14), shape)
    low, high = noisy.min(), noisy.max()
    image = np.rint(255 * (noisy - low) / (high - low)).astype(np.uint8)
    return image, np.stack(planes) if planes else np.zeros((0, *shape), bool)


def _path(rng: np.random.Generator, shape: Sequence[int]) -> NDArray[np.float64]:
    """Points `(N, 2)` half a pixel apart."""
    steps = int(2 * rng.uniform(40, 220))
    bend = rng.normal(0, 0.008) + np.cumsum(rng.normal(0, 0.0009, steps))
    heading = rng.uniform(0, 2 * np.pi) + np.cumsum(np.clip(bend, -0.04, 0.04)) / 2
    walk = np.cumsum(np.stack([np.sin(heading), np.cos(heading)], axis=1) / 2, axis=0)
    return np.asarray(walk - walk.mean(0) + rng.uniform(0, 1, 2) * np.array(shape))


def _distance(path: NDArray[np.float64], shape: Sequence[int]) -> NDArray[np.float64]:
    """Distance of each pixel from a path, infinite if all of it lies outside."""
    from scipy.ndimage import distance_transform_edt

    at = np.rint(path).astype(int)
    inside = ((at >= 0) & (at < np.array(shape))).all(1)
    if not inside.any():
        return np.full(shape, np.inf)
    away = np.ones(shape, bool)
    away[tuple(at[inside].T)] = False
    return np.asarray(distance_transform_edt(away))
