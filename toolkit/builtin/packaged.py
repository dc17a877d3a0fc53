"""Networks that exist only inside a model package of somebody else, as recipes name them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from toolkit.plugins.specs import Loss, Network
from toolkit.values.prediction import Head
from toolkit.values.truth import Truth

if TYPE_CHECKING:
    import numpy as np
    import torch

TRAIN = "train a network of a plugin instead: seg train --plugin NAME"


class Packaged(Network):
    """The network of a foreign model package, which the registry builds; it runs, but is not trained here."""

    kind: Literal["packaged"] = "packaged"
    fixed: ClassVar[bool] = True
    model: str = ""
    """The model's name, for messages."""

    def build(self, channels: int, heads: tuple[Head, ...], ndim: int) -> torch.nn.Module:
        raise ValueError(f"only its own package builds the network {self.model}; {TRAIN}")

    def stride(self, ndim: int) -> tuple[int, ...]:
        """1: which windows fit, the package knows and says."""
        return (1,) * ndim


class PackagedHeads(Loss):
    """The outputs of a foreign model package; how they were trained is not known."""

    kind: Literal["packaged"] = "packaged"
    outputs: tuple[Head, ...] = ()
    """The heads."""

    def heads(self, ndim: int) -> tuple[Head, ...]:
        return self.outputs

    def targets(self, truth: Truth) -> dict[str, np.ndarray[Any, Any]]:
        raise ValueError(f"a foreign model is not trained here; {TRAIN}")

    def build(self) -> torch.nn.Module:
        raise ValueError(f"a foreign model is not trained here; {TRAIN}")
