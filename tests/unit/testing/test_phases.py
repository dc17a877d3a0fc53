"""The conformance suite on trainings: it passes what goes on exactly, and finds what does not."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.mutual import Mutual
from tests.unit.training.test_phases import recipe
from toolkit.errors import UsageError
from toolkit.plugins.phases import Phase
from toolkit.testing.phases import phases_go_on_exactly
from toolkit.testing.scenes import blobs

SCENE = blobs((16, 16), radius=(3, 5))


def test_networks_that_teach_each_other_go_on_exactly() -> None:
    phases_go_on_exactly(recipe(), SCENE)


class Remembers(torch.nn.Module):
    """Its loss depends on how often it was called, which no checkpoint knows."""

    calls = 0

    def forward(self, team: Any, voxels: torch.Tensor, targets: Any) -> dict[str, torch.Tensor]:
        self.calls += 1
        return {"own": team("network", voxels)["foreground"].square().mean() * self.calls}


class Divides(torch.nn.Module):
    """The mean over what is annotated, also where nothing is."""

    def forward(self, team: Any, voxels: torch.Tensor, targets: Any) -> dict[str, torch.Tensor]:
        known = targets["foreground"] >= 0
        return {"own": team("network", voxels)["foreground"][known].mean()}


def teaching(module: Any) -> Any:
    class Faulty(Mutual):
        def phases(self) -> tuple[Phase, ...]:
            return (Phase("only", module),)

    return recipe(Faulty())


def test_what_is_remembered_elsewhere_is_found() -> None:
    with pytest.raises(AssertionError, match="differs after a resume: something is remembered that is in no weight"):
        phases_go_on_exactly(teaching(Remembers), SCENE)


def test_a_loss_that_needs_an_annotation_is_found() -> None:
    with pytest.raises(UsageError, match="the loss is no number any more: step 2, own"):
        phases_go_on_exactly(teaching(Divides), SCENE)
