"""Objects that a model gives already: as they are in one window, joined at the seams of several."""

from __future__ import annotations

import numpy as np
import pytest

from toolkit.builtin.postprocessors.instances import AsInstances
from toolkit.testing.blocks import agreement
from toolkit.testing.blockwise import assemble, grid, prediction
from toolkit.testing.scenes import Scene, blobs, worms
from toolkit.values.instances import Instances
from toolkit.values.prediction import Head, Prediction
from toolkit.values.tiles import Lattice

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
def test_pieces_of_windows_are_joined_at_their_seams_whatever_the_blocks(draw: object, shape: tuple[int, ...]) -> None:
    scene = draw(shape, seed=3)  # type: ignore[operator]
    whole = prediction({"instances": scene.truth.layers[:1].astype(np.float32)})
    lattice = Lattice(shape, tuple(-(-n // 2) + 2 for n in shape), (4,) * len(shape))
    one = assemble(AsInstances(), whole, lattice=lattice)
    blocks = grid([[0, n // 3, n] for n in shape])
    assert assemble(AsInstances(), whole, blocks, lattice=lattice) == one
    expected = Instances.from_labels(scene.truth.layers[0])
    assert agreement(expected, one, 90) == 1.0


def test_a_channel_that_is_not_there_is_refused() -> None:
    heads = {"instances": Head("instances", 2)}
    AsInstances(names=NAMES, only="nuclei").check(heads, 2)
    with pytest.raises(ValueError, match="there is no channel cell: choose one of nuclei, cells"):
        AsInstances(names=NAMES, only="cell").check(heads, 2)
    with pytest.raises(ValueError, match="needs a head instances"):
        AsInstances().check({}, 2)
