"""Balls in a volume of any size, and a network that knows them: its heads cost nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from itertools import product
from math import pi
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

CELL = 60
WINDOW, OVERLAP = 64, 8
UNIT = 1024
"""EmbedSeg's `grid`."""
PATCH = (5, 5, 5)
OFFSETS = ((-1, 0, 0), (0, -1, 0), (0, 0, -1), (-5, 0, 0), (0, -5, 0), (0, 0, -5))
METHODS: dict[str, dict[str, Any]] = {
    "threshold": {"loss": {"kind": "bce_dice"}, "postprocess": {"kind": "threshold"}},
    "watershed": {"loss": {"kind": "bce_dice"}, "postprocess": {"kind": "watershed"}},
    "sdt": {"loss": {"kind": "cpv:sdt"}, "postprocess": {"kind": "cpv:sdt"}},
    "mutex": {
        "loss": {"kind": "cpv:affinities", "offsets": OFFSETS},
        "postprocess": {"kind": "mutex_watershed", "offsets": OFFSETS},
    },
    "embedseg": {
        "loss": {"kind": "embedseg:embedseg", "grid": UNIT},
        "postprocess": {"kind": "embedseg:embedseg", "grid": UNIT},
    },
    "ppp": {"loss": {"kind": "ppp:ppp", "patch": PATCH}, "postprocess": {"kind": "ppp:ppp", "patch": PATCH}},
}


def centres(cell: np.ndarray) -> np.ndarray:
    """Centres `(N, 3)` of the balls of cells `(N, 3)`: somewhere near the middle, by their number alone."""
    number = (cell * np.array([73856093, 19349663, 83492791])).sum(1)
    jitter = np.stack([(number * k % 1009) / 1009 for k in (7, 13, 29)], 1) - 0.5
    return np.asarray((cell + 0.5) * CELL + jitter * 8)


def balls(start: tuple[int, ...], shape: tuple[int, ...], radius: float) -> tuple[np.ndarray, np.ndarray]:
    """Distance to the centre of its cell `(…)`, and the way there `(3, …)`, of the voxels of a box."""
    at = [np.arange(a, a + n) for a, n in zip(start, shape, strict=True)]
    low = [int(axis[0]) // CELL for axis in at]
    counts = [int(axis[-1]) // CELL - a + 1 for axis, a in zip(at, low, strict=True)]
    cells = np.stack(np.meshgrid(*(np.arange(a, a + n) for a, n in zip(low, counts, strict=True)), indexing="ij"), -1)
    table = centres(cells.reshape(-1, 3)).reshape(cells.shape).astype(np.float32)
    z, y, x = np.ix_(*(axis // CELL - a for axis, a in zip(at, low, strict=True)))
    way = np.moveaxis(table[z, y, x], -1, 0)
    for d, axis in enumerate(np.ix_(*at)):
        way[d] -= axis
    return np.sqrt((way**2).sum(0)), way


def radius(share: int) -> float:
    """Of balls that fill `share` percent."""
    return float((share / 100 * 3 / (4 * pi)) ** (1 / 3) * CELL)


def volume(path: Path, size: int, share: int) -> Path:
    """An OME-Zarr whose voxels are 1 in balls, written once."""
    import zarr

    if (path / "whole").exists():
        return path
    group = zarr.create_group(path, zarr_format=3, overwrite=True)
    axes = [{"name": a, "type": "space", "unit": "micrometer"} for a in "zyx"]
    scale = [{"type": "scale", "scale": [1.0, 1.0, 1.0]}]
    levels = [{"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": scale}]}]
    group.attrs["ome"] = {"version": "0.5", "multiscales": levels}
    array = group.create_array("0", shape=(size,) * 3, chunks=(64,) * 3, dtype="uint8", dimension_names=list("zyx"))
    for z in range(0, size, 64):
        for y in range(0, size, 256):
            box = (min(64, size - z), min(256, size - y), size)
            array[z : z + 64, y : y + 256] = 100 * (balls((z, y, 0), box, 0)[0] <= radius(share)) + 50
    (path / "whole").touch()
    return path


def whose(start: tuple[int, ...], distance: np.ndarray, size: float) -> np.ndarray:
    """Which ball the voxels of a box are in, 0 for none."""
    at = np.ix_(*(np.arange(a, a + n) // CELL for a, n in zip(start, distance.shape, strict=True)))
    return np.where(distance <= size, (at[0] * 2**16 + at[1]) * 2**16 + at[2] + 1, 0)


def pairs(label: np.ndarray, offsets: Iterable[tuple[int, ...]]) -> np.ndarray:
    """Whether x and x + offset are in one ball, `(K, …)`; not beyond the box."""
    from toolkit.values.offsets import ends

    offsets = list(offsets)
    found = np.zeros((len(offsets), *label.shape), np.float32)
    for channel, offset in zip(found, offsets, strict=True):
        here, there = ends(label.shape, offset)
        channel[here] = (label[here] == label[there]) & (label[here] > 0)
    return found


class Ideal:
    """A predictor that knows the balls."""

    def __init__(self, method: str, share: int) -> None:
        self.method, self.radius, self.seen = method, radius(share), 0

    def windows(self, image: Any, scale: Any, windows: Iterable[Any]) -> Iterator[Any]:
        from toolkit.values.prediction import Prediction
        from toolkit.values.tiles import Box

        for window in windows:
            box = window.outer & Box.whole(image.shape)
            distance, way = balls(box.start, box.shape, self.radius)
            self.seen += 1
            heads = self.heads(box.start, distance, way)
            yield Prediction(heads, box, window.core, image.shape, image.voxel_size)

    def heads(self, start: tuple[int, ...], distance: np.ndarray, way: np.ndarray) -> dict[str, np.ndarray]:
        inside = distance <= self.radius
        match self.method:
            case "embedseg":
                sigma = self.radius / UNIT / np.sqrt(2 * np.log(2)) * 1.05
                return {
                    "offsets": (way / (UNIT - 1)).astype(np.float32),
                    "bandwidth": np.full_like(way, np.log(1 / (2 * sigma**2)) / 10, np.float32),
                    "seediness": np.where(inside, 0.95, 0.0)[None].astype(np.float32),
                }
            case "sdt":
                return {"sdt": np.tanh((distance - self.radius) / 9)[None].astype(np.float32)}
            case "mutex":
                label = whose(start, distance, self.radius)
                return {"affinities": pairs(label, OFFSETS), "foreground": inside[None].astype(np.float32)}
            case "ppp":
                label = whose(start, distance, self.radius)
                return {"patches": pairs(label, product(*(range(-(n // 2), n // 2 + 1) for n in PATCH)))}
        return {"foreground": inside[None].astype(np.float32)}


def model(folder: Path, method: str) -> Any:
    """A package with the heads of the method; nobody asks its network."""
    from tests.models import load, saved
    from toolkit.plugins.catalogue import Catalogue
    from toolkit.plugins.recipe import Recipe
    from toolkit.registry import package

    data = {
        "name": "ideal", "network": {"kind": "unet", "maps": [1, 1], "strides": [1], "units": 0},
        "normalise": {"kind": "none"}, "tiling": {"window": [WINDOW] * 3, "overlap": OVERLAP},
        "training": {"crop": [WINDOW] * 3}, **METHODS[method],
    }  # fmt: skip
    recipe = Recipe.parse(data, Catalogue())
    return load(saved(folder / f"model-{method}", recipe, package.network(recipe)))
