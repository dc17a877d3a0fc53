"""The plugin keeps to what every plugin must keep to."""

from __future__ import annotations

import pytest
from toolkit_cac.loss import CacLoss
from toolkit_cac.network import ResidualUNet
from toolkit_cac.spoco import SpocoLoss

from toolkit.api import Head
from toolkit.testing import LossTests, NetworkTests, RecipeFormTests, RecipeTests

pytestmark = pytest.mark.slow

SMALL = "network.maps=[4,6]"


class TestResidualUNet(NetworkTests):
    spec = ResidualUNet(maps=(4, 6, 8))


class TestResidualUNetForCubes(NetworkTests):
    spec = ResidualUNet(maps=(4, 6, 8), pooling=(2, (1, 2, 2)), embedding=None)
    ndims = (3,)


class TestResidualUNetOfDistances(NetworkTests):
    spec = ResidualUNet(maps=(4, 6), reach=4.0)

    def heads(self, ndim: int) -> tuple[Head, ...]:
        offsets = tuple(tuple(-3 if a == axis else 0 for a in range(ndim)) for axis in range(ndim))
        return (*super().heads(ndim), Head("affinities", ndim, transform="affinity", offsets=offsets))


class TestSpocoLoss(LossTests):
    spec = SpocoLoss()


class TestCacLoss(LossTests):
    spec = CacLoss()


class TestCacLossOfAffinitiesAlone(LossTests):
    spec = CacLoss(foreground=False, background="apart", teaching="none")


class TestCacLossAtOffsets(LossTests):
    spec = CacLoss(offsets=((0, -1), (1, 0), (9, -4), (-50, 0)))
    ndims = (2,)


class TestCac(RecipeTests):
    name = "cac:cac"
    changes = (SMALL,)


class TestCacWithAJudgeOfEachChannel(RecipeTests):
    name = "cac:cac"
    changes = (SMALL, "loss.judge=each", "loss.judge_weight=reference")


class TestCacIsotropic(RecipeTests):
    name = "cac:cac-isotropic"
    changes = (SMALL, "network.pooling=[[1,2,2]]", "postprocess.min_size=16")


class TestCac3D(RecipeFormTests):
    name = "cac:cac-3d"


class TestSupervisedOnly(RecipeFormTests):
    name = "cac:supervised-only"


class TestTwoBranchUngated(RecipeFormTests):
    name = "cac:two-branch-ungated"


class TestWithoutCpsn(RecipeFormTests):
    name = "cac:without-cpsn"


class TestSpoco(RecipeTests):
    name = "cac:spoco"
    changes = (SMALL,)


class TestSpocoInVolumes(RecipeTests):
    name = "cac:cac-isotropic"
    changes = ("network.reach=4", "loss=spoco", "loss.foreground=false", "loss.offsets=[[-1,0,0],[0,-1,0],[0,0,-1]]",
               "postprocess.offsets=[[-1,0,0],[0,-1,0],[0,0,-1]]", "network.maps=[4,6]", "network.pooling=[[1,2,2]]",
               "postprocess.min_size=16")  # fmt: skip
