"""Make the training set of the shipped nuclei models: dsb2018, and dsb2018_color as a nuclear stain, bright on dark.

    python benchmarks/models/nuclei.py DATA OUT [--hard REPORT --below S --times N]

DATA holds the folders dsb2018 and dsb2018_color (both CC0). OUT becomes a data set with their train and val splits;
the test splits are left out. Every RGB image comes twice: as haematoxylin (what `input.channels=haematoxylin` gives)
and as inverted luminance; a grey image of stained tissue comes inverted.

`--hard` takes what `seg evaluate … --json` says of a model on its own training images, and has those whose S@0.50 is
below S shown N times as often (`weights.csv`): what a network has not learnt although it saw it, because it is rare.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import tifffile
from skimage.color import rgb2gray, rgb2hed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--hard", type=Path, help="what seg evaluate --json printed")
    parser.add_argument("--below", type=float, default=0.8)
    parser.add_argument("--times", type=int, default=4)
    said = parser.parse_args()
    make(said.data, said.out)
    if said.hard:
        judged = json.loads(said.hard.read_text(encoding="utf8"))["images"]
        weigh(said.out, {image["name"] for image in judged if image["S@0.50"] < said.below}, said.times)


def weigh(out: Path, hard: set[str], times: int) -> None:
    """Let training images of the data set occur `times` times as often."""
    names = json.loads((out / "splits.json").read_text())["train"]
    rows = [f"{name},{times}\n" for name in names if name in hard]
    (out / "weights.csv").write_text("name,weight\n" + "".join(rows), encoding="utf8")


def make(data: Path, out: Path) -> None:
    """Write the data set, every image once."""
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
    main()
