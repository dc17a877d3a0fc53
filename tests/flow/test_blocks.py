"""The shipped model on real images: the result does not depend on blocks or workers."""

from pathlib import Path

import numpy as np
import pytest

from tests.golden import FOLDER
from toolkit.cli import main
from toolkit.gpu.backend import Backend
from toolkit.io import Dataset, Item, open_dataset
from toolkit.pipeline.predictor import Predictor
from toolkit.pipeline.prepared import prepare
from toolkit.plugins.catalogue import Catalogue
from toolkit.registry import resolve
from toolkit.steps import normalise
from toolkit.values.tiles import Box, blocks

COUNT = 20
EACH = 2
"""Images of one shape that are run in all ways, of which there are many that show the same."""


def items(data: Dataset) -> list[Item]:
    """Some of every shape."""
    found: dict[tuple[int, ...], list[Item]] = {}
    for item in data.items:
        found.setdefault(data.image(item).shape, []).append(item)
    assert len(found) == 5
    return [item for same in found.values() for item in same[:EACH]]


@pytest.mark.slow
def test_any_blocks_get_the_same_network_output_bit_for_bit() -> None:
    data = open_dataset(f"{FOLDER}/dsb2018:test")
    model = resolve.load("embedseg", Catalogue(), "embedseg")
    predictor = Predictor(model, Backend())
    several = 0
    assert len(data.items) == COUNT
    for item in data.items:
        image = prepare(data.image(item), model.recipe)
        scale = normalise.fit(image, model.recipe.normalise)
        whole = predictor(image, scale, Box.whole(image.shape))
        for size in (128, 256):
            work = blocks(predictor.lattice(image.shape), size)
            several += len(work) > 1
            for block in work:
                part = predictor(image, scale, block.core)
                for name, head in part.heads.items():
                    np.testing.assert_array_equal(head, whole[name][(slice(None), *block.core.slices)])
    assert several >= 8  # the images are not all of one window


@pytest.mark.slow
def test_any_blocks_and_workers_give_the_same_instances(tmp_path: Path) -> None:
    inputs = [str(item.image) for item in items(open_dataset(f"{FOLDER}/dsb2018:test"))]
    found = {}
    for workers, block in ((1, None), (2, None), (1, 128), (2, 256)):
        out = tmp_path / f"{workers}-{block}"
        size = [] if block is None else ["--block", str(block)]
        arguments = ["--plugin", "embedseg", "--workers", str(workers), *size, "--no-preview", "-o", str(out)]
        assert main(["run", *inputs, *arguments]) == 0
        found[workers, block] = {p.name: p.read_bytes() for p in sorted(out.rglob("*.labels.tif"))}
    first = found[1, None]
    assert len(first) == len(inputs)
    assert all(labels == first for labels in found.values())
