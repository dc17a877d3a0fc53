"""The networks that predict a patch at every pixel."""

from __future__ import annotations

from functools import partial
from math import prod
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from toolkit.api import Alone, Because, Deduced, Head, Network, Plain, Survey
from toolkit_ppp.fitting import fitting

if TYPE_CHECKING:
    import torch

    from toolkit.api import Trunk


class Backbone(Plain):
    """U-Net whose way up keeps its number of maps, because hundreds of outputs need more than tens of maps (paper,
    2.2). Levels halve the resolution; convolutions are padded to `same`."""

    maps: Annotated[int, Field(ge=1)] = 40
    """Feature maps of the first level (paper: 40, nuclei3d 20, neurons 12)."""
    growth: Annotated[int, Field(ge=1, le=8)] = 2
    """Factor of the maps from level to level (paper: 2, in 3-D 3)."""
    levels: Annotated[int, Field(ge=1, le=7)] = 4
    """Resolutions (paper: 4, in 3-D 3)."""
    norm: Literal["none", "batch"] = "none"
    """Batch normalisation before each ReLU (paper: none)."""
    upward: Literal["constant", "decreasing"] = "constant"
    """Maps on the way up: as many on each level (paper), or those of the way down (standard U-Net, paper Table 2)."""
    upward_maps: Annotated[int, Field(ge=1)] | None = None
    """Number of maps of a constant way up; null: those of the coarsest level (paper)."""

    def up(self, down: list[int]) -> list[int]:
        return [self.upward_maps or down[-1]] * (self.levels - 1) if self.upward == "constant" else super().up(down)

    def shares(self) -> tuple[Network, tuple[str, ...]]:
        return self, ()

    def features(self, channels: int, ndim: int) -> Trunk:
        """The module whose last maps the heads read."""
        from toolkit.api import Trunk

        return Trunk(**self.trunk(channels, ndim), he=True)


class PatchUNet(Backbone):
    """`ppp`: a U-Net whose last maps give the patches, and the other heads, by one linear layer each (paper, 2.2).

    In training, heads of patches are evaluated only where the loss looks at them.
    """

    kind: Literal["ppp_unet"] = "ppp_unet"

    def shares(self) -> tuple[Network, tuple[str, ...]]:
        return self, ("features.",)

    def build(self, channels: int, heads: tuple[Head, ...], ndim: int) -> torch.nn.Module:
        from toolkit_ppp.unet import PatchModule

        return PatchModule(self.features(channels, ndim), heads)

    def alone(self, channels: int, heads: tuple[Head, ...], ndim: int) -> Alone:
        modules = "toolkit.builtin.networks.plain_unet_module", "toolkit_ppp.everywhere"
        return Alone(modules, "PatchesEverywhere", self.trunk(channels, ndim))


class PatchCoder(Backbone):
    """`ppp+dec` and `ppp+ae`: the U-Net gives a code of the patch, which a convolutional decoder unfolds (paper, 2.2).

    The code is a small map of its own: a patch of 41×41, halved three times, has 6×6 places, so that a code of 252 has
    7 numbers at each. The decoder convolves and doubles it until it covers the patch, and crops. Other heads are linear
    in the U-Net's last maps. Patches are decoded only where the head `foreground` or `numinst` sees a chance of
    foreground; elsewhere they are empty. Without such a head they are decoded everywhere.
    """

    kind: Literal["ppp_coded"] = "ppp_coded"

    code: Annotated[int, Field(ge=1)] = 252
    """Numbers of a code, a multiple of its places (paper: 252 for 41×41, 256 for 25×25)."""
    coder_levels: Annotated[int, Field(ge=0, le=5)] = 3
    """How often the patch is halved (ours)."""
    coder_maps: Annotated[int, Field(ge=1)] = 16
    """Feature maps of the decoder at full resolution; twice as many at half of it, and so on (ours)."""
    autoencoder: bool = False
    """Have an encoder, too, for the losses `ppp_autoencoder` and `ppp_code` (paper, ppp+ae)."""
    decode_above: Annotated[float, Field(ge=0, lt=0.5)] = 0.1
    """Decode where the probability of foreground exceeds this, and that of several objects is not so near to 1. A
    post-processor's thresholds may lie anywhere between."""

    def deduced(self, survey: Survey) -> Deduced:
        if not survey.objects:
            return {}
        places = prod(-(-n // 2**self.coder_levels) for n in fitting(survey).value)
        return {"code": Because(max(1, round(self.code / places)) * places, f"a multiple of the {places} places")}

    def build(self, channels: int, heads: tuple[Head, ...], ndim: int) -> torch.nn.Module:
        from toolkit_ppp.coded import CodedModule, Coder

        coder = partial(
            Coder, code=self.code, levels=self.coder_levels, maps=self.coder_maps, number=self.convolutions,
            autoencoder=self.autoencoder,
        )  # fmt: skip
        return CodedModule(self.features(channels, ndim), heads, self.decode_above, coder)


class PatchWindow(Backbone):
    """`ed-ppp`: an encoder and decoder looks at a window around a pixel and gives the patch of that pixel; a separate
    U-Net gives the other heads, and so the foreground over whose pixels the window slides (paper, 2.2 and 3.1).

    The window is `pool`^`poolings` · `bottleneck` pixels wide (paper: 3³ · 3 = 81); the coarsest level has convolutions
    of 1. Beyond the border of what the network sees the window is 0. The fields of the U-Net are those of `ppp_unet`.
    """

    kind: Literal["ppp_window"] = "ppp_window"

    window_maps: Annotated[int, Field(ge=1)] = 32
    """Feature maps at full resolution, twice as many on each further level (ours); at the bottleneck 256 (paper)."""
    pool: Literal[3, 5] = 3
    """Extent of the poolings; odd, so that the middle of the window stays in the middle (paper: 3)."""
    poolings: Annotated[int, Field(ge=1, le=4)] = 3
    """Number of poolings (paper: 3)."""
    bottleneck: Annotated[int, Field(ge=1)] = 3
    """Extent of the coarsest maps, odd (paper: 3)."""
    decode_above: Annotated[float, Field(ge=0, lt=0.5)] = 0.1
    """Look where the probability of foreground exceeds this, and that of several objects is not so near to 1."""

    def build(self, channels: int, heads: tuple[Head, ...], ndim: int) -> torch.nn.Module:
        from toolkit_ppp.window import EncoderDecoder, WindowModule

        window = partial(
            EncoderDecoder, channels, pool=self.pool, poolings=self.poolings, bottleneck=self.bottleneck,
            maps=self.window_maps, number=self.convolutions, norm=self.norm == "batch",
        )  # fmt: skip
        features = self.features(channels, ndim) if any(head.transform != "patch" for head in heads) else None
        return WindowModule(features, heads, self.decode_above, window)
