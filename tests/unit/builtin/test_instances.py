"""Objects that a model gives already: as they are in one window, stitched between several."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.unit.plugins.test_functions import bright
from toolkit.builtin.postprocessors.instances import AsInstances
from toolkit.builtin.postprocessors.threshold import Threshold
from toolkit.pipeline.passes import sweep
from toolkit.testing.blockwise import assemble, grid, pieces, prediction
from toolkit.testing.division import agreement
from toolkit.testing.scenes import Scene, blobs, worms
from toolkit.values.instances import Instances
from toolkit.values.prediction import Head, Prediction
from toolkit.values.tiles import Block, Box, Lattice

NAMES = ("nuclei", "cells")


def labelled(scene: Scene) -> Prediction:
    """Two channels: the objects, and the same objects numbered otherwise."""
    layer = scene.truth.layers[0]
    return prediction({"instances": np.stack([layer, np.where(layer > 0, 9 - layer, 0)]).astype(np.float32)})


@pytest.mark.parametrize("shape", [(48, 56), (12, 40, 36)])
def test_labels_of_one_window_are_the_objects_of_each_channel(shape: tuple[int, ...]) -> None:
    scene = blobs(shape, count=5)
    found = assemble(AsInstances(names=NAMES), labelled(scene))
    for name in NAMES:
        assert found.select(found.attributes["class"] == name) == scene.instances
    assert assemble(AsInstances(names=NAMES, only="cells"), labelled(scene)) == scene.instances
    assert len(assemble(AsInstances(), prediction({"instances": np.zeros((1, *shape), np.float32)}))) == 0


@pytest.mark.parametrize("shape", [(48, 56), (12, 40, 36)])
@pytest.mark.parametrize("draw", [blobs, worms])
def test_objects_of_windows_are_stitched_whatever_the_blocks(
    draw: object, shape: tuple[int, ...], tmp_path: Path
) -> None:
    scene = draw(shape, seed=3)  # type: ignore[operator]
    whole = prediction({"instances": scene.truth.layers[:1].astype(np.float32)})
    lattice = Lattice(shape, tuple(-(-n // 2) + 2 for n in shape), (4,) * len(shape))
    one = assemble(AsInstances(), whole, lattice=lattice)
    blocks = grid([[0, n // 3, n] for n in shape])
    assert assemble(AsInstances(), whole, blocks, lattice=lattice) == one
    expected = Instances.from_labels(scene.truth.layers[0])
    assert agreement(expected, one, 90) == 1.0
    stored = pieces(AsInstances(), whole, lattice, folder=tmp_path)
    assert sweep(AsInstances(), stored, [Block(0, whole.box)]) == one


def test_two_objects_that_meet_at_a_seam_stay_two() -> None:
    labels = np.zeros((1, 8, 32), np.float32)
    labels[0, :, 8:16], labels[0, :, 16:26] = 1, 2
    seen = prediction({"instances": labels})
    lattice = Lattice((8, 32), (8, 20), (0, 8))
    assert [window.core.stop[1] for window in lattice.windows()] == [16, 32]
    assert assemble(AsInstances(), seen, lattice=lattice) == Instances.from_labels(labels[0].astype(np.int32))


def test_objects_of_different_kinds_are_never_one() -> None:
    labels = np.zeros((2, 8, 32), np.float32)
    labels[0, 2:6, 10:22] = 1
    lattice = Lattice((8, 32), (8, 20), (0, 8))
    spec, windows = AsInstances(names=NAMES), list(lattice.windows())
    kept = pieces(spec, prediction({"instances": labels}), lattice)
    kept.add(
        1, pieces(spec, prediction({"instances": labels[::-1].copy()}), lattice).read(windows[1].core, windows[1].core)
    )
    found = sweep(spec, kept, [Block(0, Box.whole((8, 32)))])
    assert sorted(zip(found.attributes["class"], found.sizes.tolist(), strict=True)) == [("cells", 24), ("nuclei", 24)]


def test_it_says_that_it_stitches_windows_and_not_blocks() -> None:
    spec = AsInstances()
    assert (spec.stitched(1, 1), spec.stitched(4, 1)) == (False, True)
    assert (bright().stitched(4, 1), bright().stitched(4, 2), Threshold().stitched(4, 2)) == (False, True, False)


def test_a_channel_that_is_not_there_is_refused() -> None:
    heads = {"instances": Head("instances", 2)}
    AsInstances(names=NAMES, only="nuclei").check(heads, 2)
    with pytest.raises(ValueError, match="there is no channel cell: choose one of nuclei, cells"):
        AsInstances(names=NAMES, only="cell").check(heads, 2)
    with pytest.raises(ValueError, match="needs a head instances"):
        AsInstances().check({}, 2)
