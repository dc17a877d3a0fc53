"""A plugin as a third party writes it: two networks that teach each other where nothing is annotated, and a judge."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field

from toolkit.builtin.networks.unet import UNet
from toolkit.plugins import hookimpl
from toolkit.plugins.phases import Member, Phase
from toolkit.plugins.specs import Loss, Network
from toolkit.values.prediction import Head
from toolkit.values.truth import Truth

if TYPE_CHECKING:
    import torch

SEG_API = 2


class Mutual(Loss):
    """Foreground, known of some voxels. `other` learns the background; each teaches the other where `judge` agrees."""

    kind: Literal["mutual"] = "mutual"
    shares: tuple[Annotated[float, Field(gt=0)], ...] = (0.4, 0.2, 0.4)

    def heads(self, ndim: int) -> tuple[Head, ...]:
        return (Head("foreground", 1, "sigmoid"),)

    def targets(self, truth: Truth) -> dict[str, np.ndarray]:
        return {"foreground": np.where(truth.known, truth.covered > 0, -1).astype(np.float32)[None]}

    def build(self) -> torch.nn.Module:
        from tests.mutual_modules import Annotated

        return Annotated()

    def members(self, network: Network, ndim: int) -> dict[str, Member[Network]]:
        judge = UNet(maps=(2, 4), strides=(2,), units=0)
        return {
            "other": Member(network, (Head("background", 1, "sigmoid"),)),
            "judge": Member(judge, (Head("wrong", 1, "sigmoid"),), more=2),
        }

    def phases(self) -> tuple[Phase, ...]:
        from tests.mutual_modules import Alone, Judging, Together

        both = ("network", "other")
        alone, judging, together = self.shares
        return (
            Phase("alone", Alone, alone, both, keeps=(0.1, 0.5, 1.0)),
            Phase("judging", Judging, judging, ("judge",), settings={"optimiser": "amsgrad", "schedule": "constant"}),
            Phase("together", Together, together, both, settings={"learning_rate": 0.005}),
        )


@hookimpl
def seg_losses() -> Sequence[type[Loss]]:
    return (Mutual,)


@hookimpl
def seg_recipes() -> Sequence[Path]:
    return ()
