"""Maps of affinity and entropy of a run of `cac`, as in the supplement's figures.

    python benchmarks/sparse_maps.py RUN IMAGE [-o FILE.png] [--crop 256]

One column per axis and reach: the affinity above, its entropy below, beside the image. Of a volume its middle plane.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib
import numpy as np
from numpy.typing import NDArray

from toolkit import io
from toolkit.gpu.backend import Backend
from toolkit.pipeline.session import Session
from toolkit.plugins.catalogue import Catalogue
from toolkit.registry import resolve
from toolkit.values.tiles import Box

SHOWN = 4
"""Channels: the nearest pairs and the farthest."""


def maps(run: Path, path: Path, side: int) -> tuple[NDArray[np.float32], NDArray[np.float32], list[tuple[int, ...]]]:
    """The image and affinities of its middle, `(*S)` and `(K, *S)`, and the offsets."""
    model = resolve.load(str(run), Catalogue())
    # Every voxel is kept, foreground or not.
    model = model.with_recipe(model.recipe.changed(["postprocess.foreground=0"], Catalogue(), model.owner))
    session = Session(model, Backend(), Catalogue())
    image = session.prepare(io.read(path))
    pieces = session.pieces(image, loose=True)
    start = tuple(max(0, (n - side) // 2) for n in image.shape)
    box = Box(start, tuple(min(n, a + side) for n, a in zip(image.shape, start, strict=True)))
    kept = pieces.read(box, box)
    head = next(h for h in model.recipe.heads if h.name == "affinities")
    affinity = np.zeros((head.channels, *box.shape), np.float32)
    affinity[:, kept.mask()] = kept["affinities"].T
    return image.image.read(box)[0], affinity.clip(0, 1), list(head.offsets or ())


def entropy(p: NDArray[np.float32]) -> NDArray[np.float32]:
    return -(p * np.log(p + 1e-10) + (1 - p) * np.log(1 - p + 1e-10))


def draw(image: NDArray[np.float32], affinity: NDArray[np.float32], offsets: list[tuple[int, ...]], out: Path) -> None:
    matplotlib.use("Agg")
    from matplotlib import pyplot

    if image.ndim == 3:
        middle = len(image) // 2
        image, affinity = image[middle], affinity[:, middle]
    chosen = [*range(SHOWN // 2), *range(len(offsets) - SHOWN // 2, len(offsets))]
    figure, panels = pyplot.subplots(2, len(chosen) + 1, figsize=(2.2 * (len(chosen) + 1), 4.6))
    panels[0, 0].imshow(image, cmap="gray")
    panels[0, 0].set_title("image")
    for column, k in enumerate(chosen, 1):
        panels[0, column].imshow(affinity[k], cmap="gray", vmin=0, vmax=1)
        panels[0, column].set_title(f"affinity {list(offsets[k])}", fontsize=8)
        panels[1, column].imshow(entropy(affinity[k]), cmap="magma", vmin=0, vmax=np.log(2))
        panels[1, column].set_title("entropy", fontsize=8)
    for panel in panels.flat:
        panel.axis("off")
    figure.savefig(out, dpi=150, bbox_inches="tight")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("image", type=Path)
    parser.add_argument("-o", "--out", type=Path, default=Path("maps.png"))
    parser.add_argument("--crop", type=int, default=256)
    said = parser.parse_args()
    draw(*maps(said.run, said.image, said.crop), said.out)


if __name__ == "__main__":
    main()
