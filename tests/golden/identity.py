"""Generated heads for every post-processor: rounded, so that every machine makes the same, to the last bit."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

SHAPES = {2: (72, 90), 3: (14, 40, 44)}
PATCH = {2: (7, 5), 3: (3, 5, 3)}
REACHES = (1, 3, 9, 27)
SPECS: dict[str, tuple[str, dict[str, Any]]] = {
    "threshold": ("builtin:threshold", {"min_size": 3}),
    "watershed": ("builtin:watershed", {"min_size": 3}),
    "watershed-rough": ("builtin:watershed", {"min_size": 1, "smoothing": 0, "depth": 0.3}),
    "mutex": ("builtin:mutex_watershed", {"min_size": 2}),
    "mutex-far": ("builtin:mutex_watershed", {"min_size": 1, "far_merges": True, "bias": 0.4}),
    "three-label": ("cpv:three-label", {"foreground": 0.5}),
    "three-label-votes": ("cpv:three-label", {"foreground": 0.5, "seeds": "votes", "votes": 4, "dilations": 1}),
    "three-label-reference": (
        "cpv:three-label",
        {"foreground": 0.5, "seeds": "votes", "votes": 6, "voters": "reference", "flood": "everything"},
    ),
    "sdt": ("cpv:sdt", {}),
    "sdt-votes": ("cpv:sdt", {"seeds": "votes", "votes": 3, "dilations": 2}),
    "affinities": ("cpv:affinities", {"foreground": 0.6, "seed": 0.8}),
    "points": ("cpv:points", {"distance": 3}),
    "points-votes": ("cpv:points", {"source": "votes", "votes": 5, "distance": 3, "radius": 2.0}),
    "embedseg": ("embedseg:embedseg", {"grid": 64, "seed": 0.7, "min_size": 5}),
    "embedseg-overwrite": ("embedseg:embedseg", {"grid": 64, "seed": 0.7, "claim": "overwrite"}),
    "embedseg-maxima": ("embedseg:embedseg", {"grid": 64, "seeds": "local_maxima"}),
    "ppp": ("ppp:ppp", {}),
    "ppp-published": (
        "ppp:ppp",
        {"threshold": 0.7, "vote": "normalised", "count": "decided", "background": "below_threshold",
         "paff_count": "in_range", "cover_threshold": 0.5, "partition": "components", "thin": False},
    ),
    "ppp-other": (
        "ppp:ppp",
        {"border": "drop", "overlap": "highest_probability", "cover_steps": [20, 5, 0], "self_pairs": True,
         "sparse": False, "min_size": 5},
    ),
    "ppp-dense": ("ppp:ppp_mws_dense", {"min_size": 2}),
}  # fmt: skip


def heads(ndim: int, seed: int) -> dict[str, NDArray[np.float32]]:
    """Noisy heads of some ellipsoids, in steps of 1/1024."""
    rng, shape = np.random.default_rng(seed), SHAPES[ndim]
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
    centres = rng.integers(0, shape, (12, ndim))
    gap = centres - grid[..., None, :]
    distance = np.sqrt((gap.astype(float) ** 2).sum(-1)) / rng.uniform(0.8, 1.4, 12)
    nearest = distance.argmin(-1)
    depth = distance.min(-1) / 7 - 1
    vector = np.take_along_axis(gap, nearest[..., None, None], -2)[..., 0, :]
    apart = np.abs(np.diff(np.sort(distance, -1)[..., :2], axis=-1)[..., 0]) < 1.5

    def noisy(value: NDArray[Any], most: float = 1.0, least: float = 0.0, sigma: float = 0.08) -> NDArray[np.float32]:
        return np.clip(np.round((value + rng.normal(0, sigma, value.shape)) * 1024) / 1024, least, most).astype("f4")

    foreground = np.clip(0.5 - 3 * depth, 0, 1)
    interior = np.clip(0.2 - 4 * depth, 0, 1) * ~apart
    offsets = [tuple(-r if a == axis else 0 for a in range(ndim)) for r in REACHES for axis in range(ndim)]
    same = [np.roll(nearest, [-o for o in offset], range(ndim)) == nearest for offset in offsets]
    near = np.stack(same[:ndim]) & (depth < 0)
    patch = [np.array(at) - np.array(PATCH[ndim]) // 2 for at in np.ndindex(*PATCH[ndim])]
    member = [np.roll(np.where(depth < 0, nearest, -1), (-o).tolist(), range(ndim)) == nearest for o in patch]
    background = np.clip(0.5 + 4 * depth, 0, 1)
    return {
        "foreground": noisy(foreground)[None],
        "boundary": noisy(apart * 0.9)[None],
        "affinities": noisy(np.stack(same) * 0.9),
        "near": noisy(near * 0.95, sigma=0.05),
        "three_label": noisy(np.stack([background, interior, 1 - np.maximum(background, interior)])),
        "sdt": noisy(np.clip(depth, -1, 1), 1, -1)[None],
        "cpv": noisy(np.moveaxis(vector, -1, 0), 1000, -1000, 1.0),
        "gauss": noisy(np.clip(1 - distance.min(-1) / 4, 0, 1), sigma=0.02)[None],
        "offsets": noisy(np.moveaxis(vector, -1, 0) / 63, 1, -1, 0.02),
        "bandwidth": noisy(np.full((ndim, *shape), 0.5), 1, 0, 0.02),
        "seediness": noisy(np.clip(1 - distance.min(-1) / 12, 0, 1))[None],
        "patches": noisy(np.stack(member) * 0.9),
    }


def wanted(name: str, found: dict[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
    """The heads that a method reads: face neighbours alone are the affinities of `affinities`."""
    if name == "affinities":
        return {**found, "affinities": found["near"]}
    return found
