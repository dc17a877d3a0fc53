"""Convolutions of volumes, quick also where torch takes its slow ones."""

# ruff: noqa: TID253
# Only `modules.quick` imports this file, where a network runs.

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

FEW = 20480
"""Of one volume, torch gives a convolution to oneDNN only if channels × depth × height are more than this."""
WORTH = 2**16
"""Smaller matrices are unfolded sooner than maps are handed over."""


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
