"""What the toolkit asks of every post-processor."""

from __future__ import annotations

import numpy as np
from toolkit_ppp.loss import PatchLoss
from toolkit_ppp.network import PatchUNet
from toolkit_ppp.patchperpix import PatchPerPix

from toolkit.testing import LossTests, NetworkTests
from toolkit.testing.blockwise import Heads
from toolkit.testing.postprocessor import PostProcessorTests
from toolkit.testing.scenes import Scene


class _Assembly(PostProcessorTests):
    overlaps = True

    def heads(self, scene: Scene) -> Heads:
        """The truth, as sure as a sigmoid is."""
        patch, layers = self.spec.patch, scene.truth.layers
        own = layers.max(0)
        radius = [(n // 2, n // 2) for n in patch]
        padded = np.pad(layers, [(0, 0), *radius])
        target = np.empty((int(np.prod(patch)), *own.shape), np.float32)
        for c, offset in enumerate(np.ndindex(*patch)):
            moved = padded[:, *(slice(o, o + n) for o, n in zip(offset, own.shape, strict=True))]
            target[c] = ((moved == own) & (own > 0)).any(0)
        count = scene.truth.covered
        numinst = np.stack([count == 0, count == 1, count > 1])
        return {name: 0.01 + 0.98 * np.float32(head) for name, head in (("patches", target), ("numinst", numinst))}


class TestAssembly2D(_Assembly):
    spec = PatchPerPix(patch=(21, 21))
    ndims = (2,)


class TestAssembly3D(_Assembly):
    spec = PatchPerPix(patch=(3, 11, 11))
    ndims = (3,)


class TestUNet(NetworkTests):
    spec = PatchUNet(maps=4, levels=3, upward_maps=6, norm="batch")


class TestStandardUNet(NetworkTests):
    spec = PatchUNet(maps=4, levels=3, upward="decreasing")


class TestLoss2D(LossTests):
    spec = PatchLoss(patch=(5, 7))
    ndims = (2,)


class TestLoss3D(LossTests):
    spec = PatchLoss(patch=(3, 3, 5), foreground="numinst", where="foreground")
    ndims = (3,)


class TestLossWithForeground(LossTests):
    spec = PatchLoss(patch=(3, 3), foreground="foreground", overlap_members="drop")
    ndims = (2,)
