"""Make the training set of the shipped model `ppp-filaments`: generated images of crossing filaments.

    python benchmarks/models/filaments.py OUT

OUT becomes a data set of 300 images for training, 20 for validation and 20 for the test; no image of `seg demo` is in
it. Nothing is random but by a seed: the same OUT comes out every time.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import tifffile

from toolkit.demo.filaments import filaments

SPLITS = {"train": 300, "val": 20, "test": 20}
SHAPE = (256, 256)
FIRST = 1000
"""Seed of the first image; smaller ones are those of the demo."""


def main(out: Path) -> None:
    for name in ("images", "masks"):
        (out / name).mkdir(parents=True)
    splits: dict[str, list[str]] = {}
    seed = FIRST
    for split, count in SPLITS.items():
        splits[split] = []
        for _ in range(count):
            image, planes = filaments(SHAPE, int(np.random.default_rng(seed).integers(3, 22)), seed)
            name = f"filaments-{seed}"
            tifffile.imwrite(out / "images" / f"{name}.tif", image, compression="zlib")
            tifffile.imwrite(out / "masks" / f"{name}.tif", planes.astype(np.uint8), compression="zlib")
            splits[split].append(name)
            seed += 1
    (out / "splits.json").write_text(json.dumps(splits, indent=1))
    meta = {"axes": "YX", "masks": "QYX", "channels": None, "voxel_size_um": None, "licence": "CC0-1.0"}
    (out / "meta.json").write_text(json.dumps(meta, indent=1))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
