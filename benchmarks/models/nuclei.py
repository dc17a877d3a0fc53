"""Make the training set of the shipped nuclei models: dsb2018, and dsb2018_color as a nuclear stain, bright on dark.

    python benchmarks/models/nuclei.py DATA OUT

DATA holds the folders dsb2018 and dsb2018_color (both CC0). OUT becomes a data set with their train and val splits;
the test splits are left out. Every RGB image comes twice: as haematoxylin (what `input.channels=haematoxylin` gives)
and as inverted luminance; a grey image of stained tissue comes inverted.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import tifffile
from skimage.color import rgb2gray, rgb2hed


def main(data: Path, out: Path) -> None:
    for name in ("images", "masks"):
        (out / name).mkdir(parents=True)
    splits: dict[str, list[str]] = {}
    for split in ("train", "val"):
        splits[split] = [
            name
            for source in ("dsb2018", "dsb2018_color")
            for identifier in json.loads((data / source / "splits.json").read_text())[split]
            for name in convert(data / source, identifier, out)
        ]
    (out / "splits.json").write_text(json.dumps(splits, indent=1))
    meta = {"axes": "YX", "masks": "YX", "channels": None, "voxel_size_um": None, "licence": "CC0-1.0"}
    (out / "meta.json").write_text(json.dumps(meta, indent=1))


def convert(source: Path, identifier: str, out: Path) -> list[str]:
    """Write one image in all its versions; returns their names."""
    image = tifffile.imread(source / "images" / f"{identifier}.tif")
    mask = tifffile.imread(source / "masks" / f"{identifier}.tif")
    if source.name == "dsb2018":
        versions = {"": image}
    elif image.ndim == 2:
        versions = {"-inverted": 255 - image}
    else:
        versions = {
            "-haematoxylin": stretched(rgb2hed(image[..., :3])[..., 0]),
            "-inverted": stretched(1 - rgb2gray(image[..., :3])),
        }
    for suffix, version in versions.items():
        tifffile.imwrite(out / "images" / f"{identifier}{suffix}.tif", version, compression="zlib")
        tifffile.imwrite(out / "masks" / f"{identifier}{suffix}.tif", mask, compression="zlib")
    return [f"{identifier}{suffix}" for suffix in versions]


def stretched(channel: np.ndarray) -> np.ndarray:
    """8 bits between the .05th and 99.95th percentile."""
    low, high = np.percentile(channel, (0.05, 99.95))
    return (255 * np.clip((channel - low) / (high - low), 0, 1)).astype(np.uint8)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
