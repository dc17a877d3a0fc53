"""The plugin keeps to what every plugin must keep to."""

from __future__ import annotations

import pytest
from toolkit_cpv.affinities import AffinitiesLoss
from toolkit_cpv.cpv import CpvLoss
from toolkit_cpv.gauss import GaussLoss
from toolkit_cpv.network import CpvUNet
from toolkit_cpv.points import Points
from toolkit_cpv.sdt import SdtLoss
from toolkit_cpv.three_label import ThreeLabelLoss
from toolkit_cpv.watershed import SdtWatershed

from toolkit.testing import Heads, LossTests, NetworkTests, PostProcessorTests, RecipeTests, Scene

pytestmark = pytest.mark.slow


class TestCpvUNet(NetworkTests):
    spec = CpvUNet(maps=4, growth=2)


class TestCpvUNetForThickSlices(NetworkTests):
    spec = CpvUNet(maps=4, growth=2, pooling=((1, 2, 2), 2), norm="batch", convolutions=1)
    ndims = (3,)


class TestThreeLabelLoss(LossTests):
    spec = ThreeLabelLoss()


class TestBalancedThreeLabelLoss(LossTests):
    spec = ThreeLabelLoss(balance="reference")


class TestSdtLoss(LossTests):
    spec = SdtLoss(weight=100)


class TestAffinitiesLoss(LossTests):
    spec = AffinitiesLoss()


class TestBalancedAffinitiesLoss(LossTests):
    spec = AffinitiesLoss(balance="reference", erosions=2)


class TestAffinitiesLossAtOffsets(LossTests):
    spec = AffinitiesLoss(erosions=0, offsets=((0, -1), (-1, 0), (9, -4), (-50, 0)))
    ndims = (2,)


class TestGaussLoss(LossTests):
    spec = GaussLoss()


class TestCpvLoss(LossTests):
    spec = CpvLoss(unit="micrometre")


class TestBalancedCpvLoss(LossTests):
    spec = CpvLoss(balance="reference")


class TestCpvLossOfPoints(LossTests):
    spec = CpvLoss(radius_um=4.0)


class TestSeedsFromVotes(PostProcessorTests):
    spec = SdtWatershed(seeds="votes", votes=10)

    def heads(self, scene: Scene) -> Heads:
        low, high = SdtLoss().targets(scene.truth)["sdt"]
        return {"sdt": ((low + high) / 2)[None], "cpv": CpvLoss().targets(scene.truth)["cpv"]}


class TestPointsFromVotes(PostProcessorTests):
    spec = Points(source="votes", votes=10, radius=6)

    def heads(self, scene: Scene) -> Heads:
        targets = CpvLoss().targets(scene.truth)
        targets["cpv"][:, targets["inside"][0] != 1] = 1e6
        return {"cpv": targets["cpv"]}


class TestThreeLabel(RecipeTests):
    name = "cpv:three-label-cpv"


class TestThreeLabel3D(RecipeTests):
    name = "cpv:three-label-3d"
    changes = ("network.maps=4",)


class TestSdt(RecipeTests):
    name = "cpv:sdt-cpv"


class TestAffinities(RecipeTests):
    name = "cpv:affinities"


class TestAffinitiesForAMutexWatershed(RecipeTests):
    name = "cpv:affinities-isbi2012"
    changes = ("network.maps=4",)


class TestGauss(RecipeTests):
    name = "cpv:gauss"
    changes = ("postprocess.radius=6",)
