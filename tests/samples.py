"""Small data sets on disk."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tifffile

from toolkit.testing.scenes import Scene, blobs, worms


def write(folder: Path, splits: Mapping[str, Mapping[str, Scene | np.ndarray]], overlapping: bool = False) -> Path:
    """A data set of scenes; a signed label image may stand for a scene, then the image is its foreground."""
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    axes = "YX"
    for scenes in splits.values():
        for name, scene in scenes.items():
            if isinstance(scene, Scene):
                image, labels = scene.image.read()[0], scene.truth.layers
                mask = np.array([labels[k] == i for k, i in _objects(labels)], np.uint8) if overlapping else labels[0]
            else:
                image, mask = (200 * (scene > 0) + 20).astype(np.uint8), scene
            axes = "ZYX"[-image.ndim :]
            tifffile.imwrite(folder / "images" / f"{name}.tif", image)
            mask = mask if mask.size else np.zeros((1, *image.shape), np.uint8)
            tifffile.imwrite(folder / "masks" / f"{name}.tif", mask, photometric="minisblack")
    meta = {"axes": axes, "masks": f"Q{axes}" if overlapping else axes, "licence": "CC0-1.0"}
    (folder / "meta.json").write_text(json.dumps(meta))
    (folder / "splits.json").write_text(json.dumps({name: list(scenes) for name, scenes in splits.items()}))
    return folder


def _objects(labels: np.ndarray) -> list[tuple[int, int]]:
    return [(k, int(i)) for k, layer in enumerate(labels) for i in np.unique(layer[layer > 0])]


def nuclei(folder: Path, train: int = 3, val: int = 1, shape: tuple[int, ...] = (40, 44)) -> Path:
    """Touching blobs."""
    return write(
        folder,
        {
            "train": {f"t{k}": blobs(shape, radius=(4, 7), seed=k) for k in range(train)},
            "val": {f"v{k}": blobs(shape, radius=(4, 7), seed=100 + k) for k in range(val)},
        },
    )


def crossing(folder: Path, shape: tuple[int, ...] = (40, 44)) -> Path:
    """Overlapping worms, one plane each."""
    return write(folder, {"train": {"t": worms(shape, seed=1)}, "val": {"v": worms(shape, seed=2)}}, overlapping=True)
