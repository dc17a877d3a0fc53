"""The plugin keeps to what every plugin must keep to, and its recipes learn."""

from __future__ import annotations

import pytest
from toolkit_embedseg.loss import EmbedSegLoss
from toolkit_embedseg.network import BranchedErfNet, Sliced

from toolkit.testing import LossTests, NetworkTests, RecipeTests

pytestmark = pytest.mark.slow


class TestErfNet(NetworkTests):
    spec = BranchedErfNet(width=0.25)


class TestSliced(NetworkTests):
    spec = Sliced(of=BranchedErfNet(width=0.25), anisotropy=(2.0, 1.0, 1.0))
    ndims = (3,)


class TestLoss(LossTests):
    spec = EmbedSegLoss(grid=128)


class TestReferenceLoss(LossTests):
    spec = EmbedSegLoss(grid=128, lovasz="hinge", var_axes="mean", bandwidth_mean="geometric")


# Scenes of tests have small objects.
FINE = ("network.width=0.25", "loss.grid=64", "loss.bandwidth_start=0.3", "postprocess.grid=64",
        "postprocess.min_size=8")  # fmt: skip
CUBES = ("loss.anisotropy=[]", "postprocess.anisotropy=[]")


class TestRecipe(RecipeTests):
    name = "embedseg:embedseg"
    changes = ("network.maps=8",)


class TestPaperRecipe(RecipeTests):
    name = "embedseg:embedseg-paper"
    changes = FINE


class TestRecipeForVolumes(RecipeTests):
    name = "embedseg:embedseg-3d"
    changes = (*FINE, *CUBES)


class TestPaperRecipeForVolumes(RecipeTests):
    name = "embedseg:embedseg-3d-paper"
    changes = FINE
