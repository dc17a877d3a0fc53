"""A piece of a real image on which an exported model shows what it does."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit import io
from toolkit.errors import InputError
from toolkit.plugins.recipe import Recipe
from toolkit.values.image import Image
from toolkit.values.tiles import Box, Lattice

MOST = 256
"""Longest side of an example: a package holds all heads of it."""
LOOKED_AT = 8
"""Images of a data set among which the one with most objects in a window is chosen."""


@dataclass(frozen=True, eq=False)
class Example:
    """Voxels `(C, *window(recipe))` of the channels that the network sees, in the dtype of the file they come from."""

    voxels: NDArray[Any]
    voxel_size: tuple[float, ...]
    name: str

    @property
    def image(self) -> Image:
        """The example as an image."""
        return Image(
            self.voxels, "CZYX"[-self.voxels.ndim :] if self.voxels.ndim == 4 else "CYX", self.voxel_size, self.name
        )


def window(recipe: Recipe) -> tuple[int, ...]:
    """The shape of an example: a window that the network takes, that of the recipe unless it is larger than `MOST`."""
    size = zip(recipe.tiling.window, recipe.network.stride(recipe.ndim), strict=True)
    return tuple(min(w, MOST // s * s) if s <= MOST else w for w, s in size)


def of_image(path: Path, recipe: Recipe) -> Example:
    """One window in the middle of an image."""
    image = io.read(path)
    start = tuple(max(0, (n - w) // 2) for n, w in zip(image.shape, window(recipe), strict=False))
    return _cut(image, start, recipe)


def of_data(where: str, recipe: Recipe) -> Example:
    """The window with most objects among the first images of a data set; raises `InputError` if it has none."""
    data = io.open_dataset(where)
    best: tuple[int, Image, tuple[int, ...]] | None = None
    for item in data.items[:LOOKED_AT]:
        image, truth = data.image(item), data.truth(item)
        for part in Lattice(truth.shape, window(recipe), (0,) * recipe.ndim).windows():
            seen = truth.layers[(slice(None), *(part.outer & Box.whole(truth.shape)).slices)]
            count = len(np.unique(seen[seen > 0]))
            if best is None or count > best[0]:
                best = count, image, part.outer.start
    if best is None:
        raise InputError("this data set has no images", where, "name one with --image")
    return _cut(best[1], best[2], recipe)


def _cut(image: Image, start: tuple[int, ...], recipe: Recipe) -> Example:
    if image.ndim != recipe.ndim:
        raise InputError(f"the model works on {recipe.ndim}-D images", image.name, "name another with --image")
    seen = recipe.input.seen(image)
    stop = tuple(a + n for a, n in zip(start, window(recipe), strict=True))
    voxels = seen.read_reflected(Box(start, stop))
    return Example(np.ascontiguousarray(voxels), image.voxel_size, image.name)
