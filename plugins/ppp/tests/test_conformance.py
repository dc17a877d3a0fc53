"""What the toolkit asks of every post-processor, network and loss."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest
import torch
from toolkit_ppp.lazy import NEVER
from toolkit_ppp.loss import CodeLoss, PatchLoss
from toolkit_ppp.mws_dense import DenseMutexWatershed
from toolkit_ppp.network import PatchCoder, PatchUNet, PatchWindow
from toolkit_ppp.patchperpix import PatchPerPix

from toolkit.api import Head
from toolkit.testing import Heads, LossTests, NetworkTests, PostProcessorTests, Scene

pytestmark = pytest.mark.slow


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


class TestDenseMutexWatershed2D(_Assembly):
    overlaps = False
    spec = DenseMutexWatershed(patch=(9, 9))
    ndims = (2,)


class TestDenseMutexWatershed3D(_Assembly):
    overlaps = False
    spec = DenseMutexWatershed(patch=(3, 5, 5))
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


class TestCodeLoss2D(LossTests):
    """Where there are no codes, the patches themselves."""

    spec = CodeLoss(patch=(5, 3), foreground="numinst", pixels=None)
    ndims = (2,)


class TestCodeLoss3D(LossTests):
    spec = CodeLoss(patch=(3, 3, 3), foreground="foreground", where="foreground", pixels=2**16)
    ndims = (3,)


class WithPatches(NetworkTests):
    """Networks whose patches are lazy in training: there a loss asks for some of them."""

    patch = (3, 5, 7)

    def heads(self, ndim: int) -> tuple[Head, ...]:
        patch = self.patch[-ndim:]
        return Head("foreground", 1, "sigmoid"), Head("patches", prod(patch), "sigmoid", "patch", patch, initial=-20.0)

    def test_heads_begin_at_their_initial_value(self) -> None:
        """Background begins at another one."""
        for ndim in self.ndims:
            raw = self._module(ndim, 1)(self._image(ndim, 1))["patches"]
            assert set(raw.unique().tolist()) <= {NEVER, -20.0}

    def test_every_parameter_learns(self) -> None:
        for ndim in self.ndims:
            module = self._module(ndim, 1).train()
            raw = module(self._image(ndim, 1))
            cost = ((raw["patches"].at(torch.arange(50)) - 1) ** 2).mean() + ((raw["foreground"] - 1) ** 2).mean()
            cost.backward()
            assert not [n for n, p in module.named_parameters() if p.grad is None]


class TestCoder(WithPatches):
    spec = PatchCoder(maps=4, levels=2, norm="batch", code=24, coder_levels=1, coder_maps=2)


class TestWindow(WithPatches):
    spec = PatchWindow(maps=4, levels=2, norm="batch", window_maps=2, poolings=1)
    tolerance = 1e-3


class TestCoderOfOtherHeads(NetworkTests):
    spec = PatchCoder(maps=4, levels=2)


class TestWindowOfOtherHeads(NetworkTests):
    spec = PatchWindow(maps=4, levels=2)
