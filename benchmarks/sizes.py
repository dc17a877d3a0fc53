"""Score of shipped models on images enlarged and shrunk: as they are, by `--diameter auto`, and by the true diameter.

    python benchmarks/sizes.py DATA/dsb2018:val --model embedseg --every 2
    python benchmarks/sizes.py DATA/dsb2018:val --model embedseg --curve

Images of the split whose median diameter is at least `LARGE` pixels, every n-th of them; they and their truth are made
2 and 3 times as large, linearly, and half as large, by means. S at IoU .5, mean over images, minus that of the same
images at their own size with `--diameter off`. `--curve` takes all images, also smaller ones, at five scales.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

from toolkit import io
from toolkit.evaluation.named import find_value
from toolkit.pipeline.session import Session
from toolkit.pipeline.sized import rescaling
from toolkit.plugins.catalogue import Catalogue
from toolkit.steps.shrink import shrink, shrink_truth
from toolkit.steps.sizes import Diameter, diameters
from toolkit.values.image import Image
from toolkit.values.truth import Truth

LARGE = 16
SCALES = (0.5, 2, 3)
CURVE = (0.5, 1, 1.5, 2, 3)


def scaled(image: Image, truth: Truth, by: float) -> tuple[Image, Truth]:
    """Both, `by` times as large."""
    from scipy.ndimage import zoom

    if by == 0.5:
        small = np.rint(shrink(image, (2, 2)).read()).astype(image.dtype)
        return Image(small, image.axes), shrink_truth(truth, (2, 2))
    voxels = zoom(image.read().astype(np.float32), (1, by, by), order=1, mode="nearest", grid_mode=True)
    layers = zoom(truth.layers, (1, by, by), order=0, mode="nearest", grid_mode=True)
    return Image(np.rint(voxels).astype(image.dtype), image.axes), Truth.from_layers(layers)


def median(truth: Truth) -> float:
    """Diameter of the median object."""
    return float(np.median(diameters(truth.instances.sizes, truth.ndim))) if len(truth.ids) else 0.0


class Line:
    """What `seg run` does with an image in memory, measured."""

    def __init__(self, model: str) -> None:
        self.session = Session(model, "cpu", Catalogue())
        self.measured, self.name = find_value("S@0.50", Catalogue())

    def score(self, image: Image, truth: Truth, asked: Diameter) -> tuple[float, float]:
        """S at IoU .5, and the factor by which the image was seen."""
        sized, prepared = rescaling(self.session, image, asked)
        pieces = self.session.pieces(prepared)
        counts = self.measured.count(truth, self.session.objects(pieces))
        return self.measured.summarise([counts])[self.name], sized.by[0] if sized.by else 1.0


def rows(line: Line, data: io.Dataset, items: list[Any], scales: tuple[float, ...]) -> Iterator[tuple[float, ...]]:
    """Of each image and scale: image, scale, true diameter there, S at native size, as it is, by auto, by the truth."""
    for number, item in enumerate(items):
        image, truth = data.image(item), data.truth(item)
        native, _ = line.score(image, truth, Diameter("off"))
        for by in scales:
            large, real = scaled(image, truth, by)
            size = median(truth) * by
            plain, _ = line.score(large, real, Diameter("off"))
            auto, factor = line.score(large, real, Diameter())
            told, _ = line.score(large, real, Diameter("px", size))
            found = (number, by, size, native, plain, auto, told, factor)
            sys.stderr.write(" ".join(f"{v:.3g}" for v in found) + "\n")
            yield found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--model", required=True)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--from", dest="first", type=int, default=0)
    parser.add_argument("--curve", action="store_true")
    said = parser.parse_args()
    data = io.open_dataset(said.data)
    least = 0 if said.curve else LARGE
    items = [item for item in data.items if median(data.truth(item)) >= least][said.first :: said.every]
    table = np.array(list(rows(Line(said.model), data, items, CURVE if said.curve else SCALES)))
    sys.stdout.write(
        f"{said.model}, {said.data}, {len(items)} images, S@.5 {table[:, 3].mean():.3f} at their own size\n"
    )
    sys.stdout.write("| scale | as it is | auto | true diameter |\n|---|---|---|---|\n")
    for by in sorted({*table[:, 1]}):
        here = table[table[:, 1] == by]
        cells = " | ".join(f"{(here[:, k] - here[:, 3]).mean():+.3f}" for k in (4, 5, 6))
        sys.stdout.write(f"| ×{by:g} | {cells} |\n")


if __name__ == "__main__":
    main()
