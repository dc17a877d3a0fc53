"""Convolutions that are quick also where torch takes its slow ones."""

# ruff: noqa: TID253
# Only `modules` imports this file, where a network runs.

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

FEW = 20480
"""Of one volume, torch gives a convolution to oneDNN only if channels × depth × height are more than this."""
WORTH = 2**16
"""Smaller matrices are unfolded sooner than maps are handed over."""
FUSED: Any = getattr(torch.ops.mkldnn, "_convolution_pointwise", None)
"""What `torch.compile` makes of convolutions on a CPU; None where torch was built without oneDNN."""


class QuickVolumes(TorchFunctionMode):
    """While it is active, every float32 3-D convolution of one volume on a CPU is one of oneDNN.

    Torch 2.13 unfolds smaller ones, and those with kernels such as 3 × 1 × 1, into matrices of up to 27 times their
    size: five to fourteen times as slow. What comes out differs by rounding. A backward pass may follow outside of it.
    """

    def __torch_function__(
        self, func: Any, types: Sequence[Any], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is not torch.conv3d or len(args) < 2 or not _slow(args[0], args[1]):
            return func(*args, **kwargs)
        return func(args[0].to_mkldnn(), *args[1:], **kwargs).to_dense()


def _slow(maps: torch.Tensor, kernels: torch.Tensor) -> bool:
    if maps.ndim != 5 or len(maps) != 1 or maps.dtype != torch.float32 or maps.device.type != "cpu" or maps.is_mkldnn:
        return False
    if kernels.dtype != torch.float32 or torch.is_autocast_enabled("cpu"):
        return False
    taps, flat = kernels.shape[2:].numel(), kernels.shape[3:].numel() == 1
    return taps > 1 and maps.numel() * taps > WORTH and (flat or maps.shape[1:4].numel() <= FEW)


class _Quick:
    """A convolution that hands its maps to oneDNN at once, and its ReLU with them where `relu` is set."""

    relu = False

    def forward(self: Any, maps: torch.Tensor) -> torch.Tensor:
        if self._fits(maps) and not torch.is_grad_enabled() and not torch.is_autocast_enabled("cpu"):
            how = "relu" if self.relu else "none"
            shape = (self.padding, self.stride, self.dilation, self.groups)
            found: torch.Tensor = FUSED(maps, self.weight, self.bias, *shape, how, [], "")
            return found
        plain: torch.Tensor = self._conv_forward(maps, self.weight, self.bias)
        return plain.relu_() if self.relu else plain

    def _fits(self: Any, maps: torch.Tensor) -> bool:
        """Whether oneDNN takes such maps: not one image without its batch, nor numbers of 64 bits."""
        return (
            maps.device.type == "cpu"
            and maps.dtype == self.weight.dtype
            and maps.dtype in (torch.float32, torch.bfloat16)
            and maps.ndim == self.weight.ndim
        )


class _Quick2d(_Quick, nn.Conv2d):
    pass


class _Quick3d(_Quick, nn.Conv3d):
    pass


KINDS: dict[type, type] = {nn.Conv2d: _Quick2d, nn.Conv3d: _Quick3d}


def quicken(module: nn.Module) -> None:
    """Let the convolutions of a module whose weights change no more go to oneDNN at once; where a part has a method
    `lean`, and so knows that it is changed, in a row with the ReLU that follows: others may read what lies between.
    It is worth a twelfth of the time of a U-Net."""
    if FUSED is None:
        return
    for part in module.modules():
        if type(part) in KINDS and part.padding_mode == "zeros" and not isinstance(part.padding, str):
            part.__class__ = KINDS[type(part)]
    known = [part for part in module.modules() if hasattr(part, "lean")]
    for row in {part for each in known for part in each.modules() if type(part) is nn.Sequential}:
        for n, (layer, after) in enumerate(pairwise(list(row))):
            if isinstance(layer, _Quick) and isinstance(after, nn.ReLU):
                layer.relu = True
                row[n + 1] = nn.Identity()
