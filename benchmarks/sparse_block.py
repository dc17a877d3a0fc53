"""A data set in which all objects of a block of each image are annotated: as many voxels as few whole objects have."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray

from toolkit.check.sparse import Sparse
from toolkit.io.dataset import open_dataset
from toolkit.values.truth import UNANNOTATED


def block(origin: Path, fraction: float, seed: int, folder: Path) -> None:
    """In each training image a box of the shape of the image, somewhere, in which as many voxels of objects are known,
    with the background between them, as `fraction` of the objects, drawn with the same seed, has."""
    data = open_dataset(f"{origin}:train")
    (folder / "masks").mkdir(parents=True)
    shutil.copytree(origin / "images", folder / "images")
    for name in ("meta.json", "splits.json"):
        shutil.copyfile(origin / name, folder / name)
    learnt = {item.name for item in data.items}
    for path in sorted((origin / "masks").iterdir()):
        if path.stem not in learnt:
            shutil.copyfile(path, folder / "masks" / path.name)
    layers = [data.truth(item).layers for item in data.items]
    objects = [np.unique(labels[labels > 0], return_counts=True) for labels in layers]
    drawn = Sparse(fraction, "random", seed).choose([(i.astype(np.int64), n.astype(np.int64)) for i, n in objects])
    for number, (item, labels, (ids, sizes), kept) in enumerate(zip(data.items, layers, objects, drawn, strict=True)):
        wanted = int(sizes[np.isin(ids, kept)].sum())
        rng = np.random.default_rng((seed, number, 1))
        known = box(labels.any(0), wanted, rng)
        found = np.where(known, labels, UNANNOTATED).astype(np.int32)
        tifffile.imwrite(folder / "masks" / f"{item.name}.tif", found[0], compression="zlib")
    (folder / "block.json").write_text(json.dumps({"fraction": fraction, "seed": seed}), encoding="utf8")


def box(inside: NDArray[np.bool_], wanted: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """The smallest box around a drawn place that holds `wanted` voxels of `inside`."""
    at = rng.random(inside.ndim)
    low, high = 0.0, 1.0
    for _ in range(20):
        part = (low + high) / 2
        low, high = (low, part) if inside[_slices(inside.shape, at, part)].sum() >= wanted else (part, high)
    known = np.zeros(inside.shape, bool)
    known[_slices(inside.shape, at, high)] = True
    return known


def _slices(shape: tuple[int, ...], at: NDArray[np.float64], part: float) -> tuple[slice, ...]:
    found = []
    for size, place in zip(shape, at, strict=True):
        extent = max(1, round(part * size))
        start = round(place * (size - extent))
        found.append(slice(start, start + extent))
    return tuple(found)
