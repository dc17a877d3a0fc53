"""The module behind `unet`."""

# ruff: noqa: TID253
# Only `UNet.build` imports this file.

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from monai.networks.nets.unet import UNet as Body

from toolkit.builtin.networks.plain_unet_module import begin
from toolkit.values.prediction import Head


class UNetModule(torch.nn.Module):
    """`(B, channels, *S) -> {head: (B, head.channels, *S)}`, S a multiple of the total stride."""

    def __init__(
        self,
        channels: int,
        heads: Sequence[Head],
        ndim: int,
        maps: Sequence[int],
        strides: Sequence[Any],
        units: int,
        norm: str,
        dropout: float,
    ) -> None:
        super().__init__()
        self.body = Body(
            ndim, channels, maps[0], tuple(maps), tuple(strides), num_res_units=units, norm=norm, dropout=dropout
        )
        self.names = tuple(head.name for head in heads)
        self.sizes = [head.channels for head in heads]
        convolution = torch.nn.Conv2d if ndim == 2 else torch.nn.Conv3d
        self.out = convolution(maps[0], sum(self.sizes), kernel_size=1)
        begin(heads, self.out)

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        raw = self.out(self.body(image))
        return dict(zip(self.names, torch.split(raw, self.sizes, dim=1), strict=True))
