"""Models that need no training: weights by hand or by chance."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from toolkit.plugins.catalogue import Catalogue
from toolkit.plugins.recipe import Recipe
from toolkit.registry import package, resolve
from toolkit.registry.package import ModelPackage


def see_through(folder: Path, ndim: int = 2, **changes: Any) -> Path:
    """A U-Net whose weights pass the image on: objects are what is brighter than the middle of the range.

    It is a model like any other, only that everybody knows what it must find. Returns the folder, which has the form
    that a training leaves.
    """
    data = {
        "name": "see-through",
        "network": {"kind": "unet", "maps": [1, 1], "strides": [1], "units": 0},
        "loss": {"kind": "bce_dice"},
        "normalise": {"kind": "percentile", "low": 0, "high": 100},
        "postprocess": {"kind": "threshold", "min_size": 1},
        "tiling": {"window": [32] * ndim, "overlap": 8},
        "training": {"crop": [32] * ndim},
    } | changes
    recipe = Recipe.parse(data, Catalogue(allow=()))
    module = package.network(recipe)
    with torch.no_grad():
        for name, weight in module.named_parameters():
            if weight.ndim > 2:
                weight.zero_()
                weight[(0, 0, *(n // 2 for n in weight.shape[2:]))] = 40 if name.startswith("out") else 1
            elif name == "out.bias":
                weight.fill_(-20)
            elif "bias" in name:
                weight.zero_()
    return saved(folder, recipe, module)


def by_chance(folder: Path, data: dict[str, Any], seed: int = 0) -> Path:
    """A model with random weights, untypically large so that it has something to say."""
    recipe = Recipe.parse(data, Catalogue())
    torch.manual_seed(seed)
    module = package.network(recipe)
    with torch.no_grad():
        for name, value in module.state_dict().items():
            if "running_mean" in name:
                value.normal_(0, 0.3)
            elif "running_var" in name:
                value.uniform_(0.5, 2)
            elif value.is_floating_point() and value.ndim == 1:
                value.normal_(0.3, 0.5)
            elif value.is_floating_point():
                value.mul_(1.5)
    return saved(folder, recipe, module)


def saved(folder: Path, recipe: Recipe, module: torch.nn.Module) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / package.RECIPE).write_text(recipe.dump(), encoding="utf8")
    package.save(module, folder / package.WEIGHTS)
    return folder


def load(folder: Path) -> ModelPackage:
    return resolve.load(str(folder), Catalogue())


def bright(shape: tuple[int, ...], seed: int = 0, count: int = 8) -> np.ndarray:
    """An 8-bit image of bright boxes on dark ground."""
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 60, shape).astype(np.uint8)
    for _ in range(count):
        start = [int(rng.integers(0, n)) for n in shape]
        stop = [min(n, a + int(rng.integers(2, 12))) for a, n in zip(start, shape, strict=True)]
        image[tuple(map(slice, start, stop))] = rng.integers(200, 256)
    return image
