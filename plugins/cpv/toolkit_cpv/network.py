"""The U-Net of the paper."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from toolkit.api import Plain


class CpvUNet(Plain):
    """U-Net with constant upsampling (paper App. B): the built-in `plain_unet` in the paper's size.

    Convolutions are padded to `same` where the paper's are valid: the toolkit's windows overlap, so that with an
    overlap of twice the field of view (23 voxels of 3 levels) only voxels at the border of the image see the padding.
    """

    kind: Literal["cpv_unet"] = "cpv_unet"
    maps: Annotated[int, Field(ge=1)] = 10
    """Feature maps of the first level (paper: 10)."""
    growth: Annotated[int, Field(ge=1, le=8)] = 4
    """Factor of the maps from level to level (paper: 4)."""
    levels: Annotated[int, Field(ge=1, le=6)] = 3
    """Resolutions (paper: 3)."""
    norm: Literal["none", "batch"] = "none"
    """Batch normalisation before each ReLU (paper: none)."""
