"""Which patch fits which objects, and that every network can be built with it."""

from __future__ import annotations

import numpy as np
import pytest
from toolkit_ppp.fitting import EXTENTS, fitting
from toolkit_ppp.loss import PatchLoss
from toolkit_ppp.patchperpix import PatchPerPix

from toolkit.api import Survey, Truth
from toolkit.testing import Catalogue, Recipe


def boxes(*extent: int, shape: tuple[int, ...] = ()) -> Survey:
    labels = np.zeros((1, *(shape or (120,) * len(extent))), np.int32)
    labels[0][tuple(slice(2, 2 + n) for n in extent)] = 1
    return Survey.of([Truth.from_layers(labels)])


@pytest.mark.parametrize(
    ("extent", "patch"),
    [((20, 20), [21, 21]), ((4, 4), [9, 9]), ((100, 100), [41, 41]), ((100, 8), [23, 9]), ((9, 9, 9), [9, 9, 9])],
)
def test_a_patch_is_as_long_as_the_objects_but_no_longer_than_a_few_widths(
    extent: tuple[int, ...], patch: list[int]
) -> None:
    found = fitting(boxes(*extent, shape=(120,) * len(extent) if len(extent) == 2 else (30, 30, 30)))
    assert found.value == patch
    assert all(n % 2 for n in found.value)


def test_loss_and_assembly_deduce_the_same_and_nothing_without_objects() -> None:
    seen = boxes(20, 12)
    assert PatchLoss().deduced(seen)["patch"] == PatchPerPix().deduced(seen)["patch"]
    empty = Survey.of([Truth.from_layers(np.zeros((1, 9, 9), np.int32))])
    assert not PatchLoss().deduced(empty)
    assert not PatchPerPix().deduced(empty)


@pytest.mark.parametrize("side", [5, 17, 24, 60])
def test_codes_fit_the_deduced_patch(side: int) -> None:
    import torch

    seen = boxes(side, side)
    patch = fitting(seen).value
    catalogue, changes = Catalogue(), [f"loss.patch={patch}", f"postprocess.patch={patch}"]
    path = catalogue.find("recipes", "ppp-dec-paper", "ppp")
    code = Recipe.load(path, catalogue, "ppp", changes).network.deduced(seen)["code"].value
    whole = Recipe.load(path, catalogue, "ppp", [*changes, f"network.code={code}"])
    with torch.device("meta"):
        whole.network.build(1, whole.heads, 2)
    assert max(patch) <= EXTENTS[2][1]
