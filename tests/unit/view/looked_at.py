"""Small results that tests look at."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import tifffile

from toolkit import io
from toolkit.steps.measure import measure
from toolkit.values.instances import Instances


def discs(shape: tuple[int, ...], count: int, seed: int, radius: float = 20) -> Instances:
    """Discs that overlap, with scores and classes."""
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"))
    planes = []
    for _ in range(count):
        centre, own = rng.uniform(0, 1, len(shape)) * shape, rng.uniform(radius / 3, radius)
        planes.append(((grid - centre.reshape(-1, *(1,) * len(shape))) ** 2).sum(0) < own**2)
    kept = np.array([p for p in planes if p.any()])
    classes = {"class": rng.integers(0, 3, len(kept))}
    return Instances.from_planes(kept, rng.uniform(0.2, 1, len(kept)).tolist(), classes)


def result(
    folder: Path, objects: Instances, name: str = "cells", channels: int = 2, out: str = "cells.seg"
) -> tuple[Path, np.ndarray]:
    """The folder of a run of these objects, and the image `(C, (Z)YX)` that they are of."""
    rng = np.random.default_rng(0)
    cover = sum(objects.mask(k)[1].sum() for k in range(min(3, len(objects))))
    assert cover, "there is something to see"
    voxels = np.stack([
        (objects.to_labels() > 0) * 3000 * (c + 1) + rng.integers(0, 400, objects.shape) for c in range(channels)
    ]).astype(np.uint16)  # fmt: skip
    file = folder / f"{name}.tif"
    tifffile.imwrite(file, voxels, metadata={"axes": "CZYX"[-voxels.ndim :] if voxels.ndim == 4 else "CYX"}, ome=True)
    image = io.read(file)
    files = io.write(folder / out, name, objects, image, measure(objects, image))
    record = {
        "schema": "toolkit.run/1", "recipe": {"name": "discs"}, "options": {"axes": None, "voxel_size": None},
        "images": [{"input": str(file), "stem": name, "files": [f.name for f in files]}],
    }  # fmt: skip
    (folder / out / "run.json").write_text(json.dumps(record))
    return folder / out, voxels
