"""No network: the image itself is the head."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from toolkit.plugins.specs import Network
from toolkit.values.prediction import Head

if TYPE_CHECKING:
    import torch


class ImageItself(Network):
    """For methods without a network: hands the normalised image on as head `image`, one channel per channel.

    It has no weights and no loss, and nothing is turned. Its head has 0 channels until an image is read.
    """

    kind: Literal["image"] = "image"
    untrained: ClassVar[bool] = True

    def build(self, channels: int, heads: tuple[Head, ...], ndim: int) -> torch.nn.Module:
        raise ValueError("there is no network to build: the image itself is the head")

    def stride(self, ndim: int) -> tuple[int, ...]:
        return (1,) * ndim

    def gives(self, channels: int | None) -> tuple[Head, ...]:
        return (Head("image", channels or 0, transform="none"),)
