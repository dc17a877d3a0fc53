"""Predictions as a good network gives them, at the five sizes of the PatchPerPix paper (supplement, Table 4)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter
from toolkit_ppp.patchperpix import PatchPerPix

from toolkit.values.prediction import Prediction
from toolkit.values.tiles import Box


@dataclass(frozen=True, eq=False)
class Problem:
    """An image of the paper: label layers of its objects, and how it is assembled. `paper` is in seconds on its GPU;
    `must` is the speed-up over it that we promise. `share` is the part of the paper's image that this is."""

    name: str
    layers: NDArray[np.int32]
    options: PatchPerPix
    paper: float
    must: float
    blocks: tuple[int, ...] = ()
    share: float = 1.0

    @property
    def shape(self) -> tuple[int, ...]:
        return self.layers.shape[1:]

    def predict(self, core: Box) -> Prediction:
        """The heads around `core`. Certain inside, less so at borders, with noise that is smooth in space."""
        box = core.grow(self.options.halo(len(self.shape)), within=self.shape)
        layers = self.layers[:, *box.slices]
        count = (layers > 0).sum(0)
        own = layers.max(0)
        radius = self.options.radius
        padded = np.pad(layers, [(0, 0), *((r, r) for r in radius)])
        rng = np.random.default_rng(box.start)
        fields = [3 * gaussian_filter(rng.standard_normal(box.shape).astype(np.float32), 1.5) for _ in range(4)]
        patches = np.empty((self.options.voxels, *box.shape), np.float32)
        for c, offset in enumerate(product(*map(range, self.options.patch))):
            moved = padded[:, *(slice(o, o + n) for o, n in zip(offset, box.shape, strict=True))]
            logit = np.where(((moved == own) & (own > 0)).any(0), np.float32(3), np.float32(-3))
            logit += np.roll(fields[c % 4], offset, tuple(range(len(offset))))
            np.negative(logit, out=logit)
            np.exp(logit, out=logit)
            logit += 1
            np.reciprocal(logit, out=patches[c])
        numinst = np.stack([count == 0, count == 1, count > 1]).astype(np.float32)
        return Prediction({"patches": patches, "numinst": numinst}, box, core, self.shape)

    def cores(self) -> Iterator[Box]:
        """The blocks that it is worked on in: one, if the prediction fits in memory."""
        size = self.blocks or self.shape
        for start in product(*(range(0, n, s) for n, s in zip(self.shape, size, strict=True))):
            yield Box(start, tuple(min(n, a + s) for a, s, n in zip(start, size, self.shape, strict=True)))


def nuclei(shape: tuple[int, ...], count: int, radius: tuple[float, float], seed: int = 0) -> NDArray[np.int32]:
    """Ellipsoids that touch and do not overlap, in clusters; one layer."""
    rng = np.random.default_rng(seed)
    found = np.zeros(shape, np.int32)
    centres = rng.uniform(0, shape, (max(1, count // 4), len(shape)))
    for k in range(1, count + 1):
        half = rng.uniform(*radius, len(shape))
        centre = centres[rng.integers(len(centres))] + rng.normal(0, 2 * half.mean(), len(shape))
        low = np.maximum(np.floor(centre - half), 0).astype(int)
        high = np.minimum(np.ceil(centre + half) + 1, shape).astype(int)
        if (low >= high).any():
            continue
        box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        grid = np.meshgrid(*(np.arange(a, b) for a, b in zip(low, high, strict=True)), indexing="ij")
        inside = sum(((g - c) / h) ** 2 for g, c, h in zip(grid, centre, half, strict=True)) < 1
        view = found[box]
        view[inside & (view == 0)] = k
    return found[None]


def worms(shape: tuple[int, int], count: int, width: float, length: int, seed: int = 0) -> NDArray[np.int32]:
    """Curved tubes that cross; a layer for each object that meets an earlier one."""
    rng = np.random.default_rng(seed)
    layers = [np.zeros(shape, np.int32)]
    for k in range(1, count + 1):
        angle = rng.uniform(0, 2 * np.pi) + rng.normal(0, 0.012) * np.arange(length)
        path = rng.uniform((0, 0), shape)[:, None] + np.cumsum([np.sin(angle), np.cos(angle)], axis=1)
        path = path.astype(int)[:, ((path >= 0) & (path < np.array(shape)[:, None])).all(0)]
        line = np.zeros(shape, bool)
        line[tuple(path)] = True
        plane = distance_transform_edt(~line) < width / 2
        home = next((layer for layer in layers if not (layer[plane] > 0).any()), None)
        if home is None:
            layers.append(home := np.zeros(shape, np.int32))
        home[plane] = k
    return np.stack(layers)


def tissue(shape: tuple[int, int], count: int, wall: float, seed: int = 0) -> NDArray[np.int32]:
    """Cells that fill the image, with membranes between them; one layer."""
    rng = np.random.default_rng(seed)
    points = rng.uniform(0, shape, (count, 2))
    warp = [12 * gaussian_filter(rng.standard_normal(shape), 6) * 6 for _ in range(2)]
    grid = np.indices(shape)
    first, second = np.full(shape, np.inf), np.full(shape, np.inf)
    owner = np.zeros(shape, np.int32)
    for k, point in enumerate(points, start=1):
        distance = np.hypot(*(g + w - p for g, w, p in zip(grid, warp, point, strict=True)))
        nearer = distance < first
        second = np.where(nearer, first, np.minimum(second, distance))
        owner[nearer], first = k, np.where(nearer, distance, first)
    owner[second - first < wall] = 0
    return owner[None]


def problems() -> dict[str, Problem]:
    """The five, as the paper assembles them."""
    worm = worms((520, 696), 14, 10, 115)
    return {
        "dsb 25": Problem("dsb 25", nuclei((256, 320), 45, (8, 13)), PatchPerPix(patch=(25, 25)), 5, 10),
        "BBBC 25": Problem("BBBC 25", worm, PatchPerPix(patch=(25, 25)), 4, 6),
        "BBBC 41": Problem("BBBC 41", worm, PatchPerPix(patch=(41, 41)), 13, 5),
        "ISBI 25": Problem("ISBI 25", tissue((512, 512), 300, 5), PatchPerPix(patch=(25, 25)), 400, 25, (256, 512)),
        "nuclei3d 9": Problem(
            "nuclei3d 9",
            nuclei((70, 70, 550), 240, (6, 9)),
            PatchPerPix(patch=(9, 9, 9)),
            1300,
            3,
            (70, 70, 110),
            1 / 8,
        ),
    }


def essential(problem: Problem, found: Prediction) -> float:
    """Σ nf²/2 + nf·nb over the patches of a whole image: multiply-adds that no program can avoid."""
    from toolkit_ppp.patches import read

    from toolkit.gpu.backend import Backend

    codes = read(problem.options.keep(found, Backend()), problem.options, Backend()).codes
    inside, outside = (codes > 0).sum(1), ((codes < 0) & (codes >= -256)).sum(1)
    return float((inside * (inside / 2 + outside)).sum())
