"""The engine `torch`: a module on windows."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from toolkit.gpu.backend import Backend
from toolkit.pipeline.raw import Raw, activate, one_thread
from toolkit.plugins import seams
from toolkit.plugins.specs import Network
from toolkit.steps.turns import Turn
from toolkit.values.prediction import Head

if TYPE_CHECKING:
    import torch


class TorchEngine:
    """A torch module. `engine(voxels) -> [{head: Raw, …}, …]`, one for each window of `voxels` `(B, C, *window)`.

    A module may have a method `lazily(image)`, which is its `forward` but may give a head as something with
    `at(pixels) -> (N, channels)` instead of a tensor. With several `turns` the outputs are averaged: raw, or after the
    activation where `after`. `half`: the network computes in bfloat16, but for the parts that it names in `precise`.
    """

    def __init__(
        self,
        module: torch.nn.Module,
        backend: Backend,
        heads: Sequence[Head],
        turns: Sequence[Turn],
        network: Network,
        after: bool,
        half: bool = False,
    ) -> None:
        """`network` is named where the module goes wrong."""
        import torch

        self._module = module.to(backend.device, torch.bfloat16 if half else None)
        for name in getattr(module, "precise", ()) if half else ():
            _whole(getattr(module, name))
        self._backend, self._half = backend, half
        self._heads = heads
        self._turns = turns
        self._network = network
        self._after = after and len(turns) > 1

    def __call__(self, voxels: NDArray[np.float32]) -> list[dict[str, Raw]]:
        import torch

        with one_thread(), torch.inference_mode():
            windows = torch.from_numpy(voxels).to(self._backend.device, torch.bfloat16 if self._half else None)
            out = self._once(windows) if len(self._turns) == 1 else self._turned(windows)
        shape, done = voxels.shape[2:], self._after
        return [
            {h.name: Raw(out[h.name], i, h, shape, self._backend, done) for h in self._heads}
            for i in range(len(voxels))
        ]

    def _once(self, windows: torch.Tensor) -> dict[str, Any]:
        lazily: Any = getattr(self._module, "lazily", self._module)
        return self._said(lazily, windows)

    def _said(self, module: Any, windows: torch.Tensor) -> dict[str, Any]:
        with seams.calling(self._network, "build"), quick(windows.ndim - 2):
            found: dict[str, Any] = module(windows)
        seams.raw(found, self._heads, tuple(windows.shape[2:]), self._network)
        return found

    def _turned(self, windows: torch.Tensor) -> dict[str, Any]:
        sums: dict[str, Any] = {}
        for turn in self._turns:
            raw = self._said(self._module, turn.apply(windows).contiguous())
            for head in self._heads:
                said = turn.undo_head(raw[head.name].float(), head)
                said = activate(said, head) if self._after else said
                sums[head.name] = sums[head.name] + said if head.name in sums else said
        return {name: total / len(self._turns) for name, total in sums.items()}


def _whole(part: torch.nn.Module) -> None:
    """Let a part of a network, or each of a collection of them, compute in 32 bits whatever it is given."""
    import torch

    if isinstance(part, torch.nn.ModuleDict | torch.nn.ModuleList):
        for one in part.children():
            _whole(one)
        return
    part.float()
    part.register_forward_pre_hook(lambda _, given: tuple(maps.float() for maps in given))


def lean(module: torch.nn.Module) -> torch.nn.Module:
    """A copy of a module for inference alone, which gives the same but for rounding and is faster.

    Batch normalisation that follows a convolution is part of it, a ReLU changes in place what nobody else sees, a part
    that has a method `lean()` changes itself, and the channels of weights and maps lie side by side in memory.
    Convolutions and the ReLUs after them are one operation.
    """
    import torch

    from toolkit.pipeline.convolutions import quicken

    copy: Any = deepcopy(module).eval()
    for part in [part for part in copy.modules() if type(part) is torch.nn.Sequential]:
        _fold(part)
    for part in copy.modules():
        if hasattr(part, "lean"):
            part.lean()
    lay(copy)
    quicken(copy)
    return cast("torch.nn.Module", copy)


def lay(module: torch.nn.Module) -> None:
    """The weights of every convolution channels last, of as many axes as it has: the planes of a volume go through
    convolutions of two."""
    for weight in module.parameters():
        if weight.ndim in (4, 5):
            weight.data = weight.data.contiguous(memory_format=layout(weight.ndim - 2))


def quick(ndim: int) -> AbstractContextManager[Any]:
    """What to call a network of so many axes in."""
    if ndim == 2:
        return nullcontext()
    from toolkit.pipeline.convolutions import QuickVolumes

    return QuickVolumes()


def layout(ndim: int) -> torch.memory_format:
    """How weights and maps lie in memory: channels last, in which convolutions run and train a quarter faster."""
    import torch

    return torch.channels_last if ndim == 2 else torch.channels_last_3d


def _fold(row: torch.nn.Sequential) -> None:
    from torch import nn

    convolutions = (nn.Conv2d, nn.Conv3d)
    before: nn.Module | None = None
    for name, layer in list(row.named_children()):
        if isinstance(layer, nn.BatchNorm2d | nn.BatchNorm3d) and isinstance(before, convolutions):
            folded = nn.utils.fusion.fuse_conv_bn_eval(before, layer)
            before.weight, before.bias = folded.weight, folded.bias
            delattr(row, name)
            continue
        if isinstance(layer, nn.ReLU) and isinstance(before, convolutions):
            layer.inplace = True
        before = layer
