"""The built-in plugin keeps to what every plugin must keep to."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import binary_erosion

from toolkit.builtin.losses.bce_dice import BceDice
from toolkit.builtin.metrics import METRICS
from toolkit.builtin.networks.plain_unet import PlainUNet
from toolkit.builtin.networks.unet import UNet
from toolkit.builtin.postprocessors.agglomeration import Agglomeration
from toolkit.builtin.postprocessors.mutex import MutexWatershed, usual_offsets
from toolkit.builtin.postprocessors.threshold import Threshold
from toolkit.builtin.postprocessors.watershed import Watershed
from toolkit.testing import LossTests, MetricTests, NetworkTests, PostProcessorTests, RecipeTests
from toolkit.testing.blockwise import Heads
from toolkit.testing.scenes import Scene

pytestmark = pytest.mark.slow


class TestUNet(NetworkTests):
    spec = UNet(maps=(4, 8, 16))


class TestPlainUNet(NetworkTests):
    spec = PlainUNet(maps=4, levels=3)


class TestUNetForThickSlices(NetworkTests):
    spec = UNet(maps=(4, 8, 16), strides=((1, 2, 2), 2), norm="instance", units=0, dropout=0.1)
    ndims = (3,)


class TestBceDice(LossTests):
    spec = BceDice()


class TestBceDiceWithBoundary(LossTests):
    spec = BceDice(boundary=True)


class TestThreshold(PostProcessorTests):
    spec = Threshold()

    def heads(self, scene: Scene) -> Heads:
        # Components cannot part what touches: the objects shrink until they do not.
        parts = [binary_erosion(scene.truth.layers[0] == label) for label in scene.truth.ids]
        return {"foreground": 0.9 * np.any([*parts, np.zeros(scene.shape, bool)], axis=0)[None].astype(np.float32)}


class TestWatershed(PostProcessorTests):
    spec = Watershed()

    def heads(self, scene: Scene) -> Heads:
        return {"foreground": 0.9 * (scene.truth.covered > 0)[None].astype(np.float32)}


class TestMutexWatershed(PostProcessorTests):
    spec = MutexWatershed()

    def heads(self, scene: Scene) -> Heads:
        labels = scene.truth.layers[0]
        affinities = [
            (labels > 0) & (labels == np.roll(labels, [-o for o in offset], range(labels.ndim)))
            for offset in usual_offsets(labels.ndim)
        ]
        return {
            "foreground": (labels > 0)[None].astype(np.float32),
            "affinities": np.stack(affinities).astype(np.float32),
        }


class TestUNetRecipe(RecipeTests):
    name = "builtin:unet"
    changes = ("network.maps=[4, 8, 16]",)


# One class of tests for each metric.
globals().update({f"Test{metric.__name__}": type("Tests", (MetricTests,), {"spec": metric()}) for metric in METRICS})


class TestAgglomeration(PostProcessorTests):
    spec = Agglomeration(threshold=0.3)

    def heads(self, scene: Scene) -> Heads:
        return TestMutexWatershed().heads(scene)


class TestAgglomerationOfSlices(PostProcessorTests):
    spec = Agglomeration(fragments="slices")
    ndims = (3,)

    def heads(self, scene: Scene) -> Heads:
        """As in microscopy of slices, a membrane is where two objects meet: its voxels belong together with none."""
        labels = scene.truth.layers[0]
        beside = np.stack([np.roll(labels, step, axis) for axis in range(3) for step in (-1, 1)])
        met = ((beside > 0) & (beside != labels)).any(0)
        inner = np.where(met, 0, labels)
        affinities = [
            (inner > 0) & (inner == np.roll(inner, [-o for o in offset], range(3))) for offset in usual_offsets(3)
        ]
        return {
            "foreground": (labels > 0)[None].astype(np.float32),
            "affinities": np.stack(affinities).astype(np.float32),
        }
