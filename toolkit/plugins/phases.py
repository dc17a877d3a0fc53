"""What a training consists of besides one network and one loss: further networks, and phases. A loss declares them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from toolkit.values.prediction import Head

if TYPE_CHECKING:
    import torch

Network = TypeVar("Network", covariant=True)
OWN = "network"
"""What the recipe's own network is called in a training."""
DIFFER = ("optimiser", "learning_rate", "weight_decay", "schedule", "warmup", "average")
"""Fields of `training` that a phase may set."""


@dataclass(frozen=True)
class Member(Generic[Network]):
    """A network that takes part in a training and is no part of the model that the training leaves.

    It gets the channels of the image and `more` after them.
    """

    network: Network
    heads: tuple[Head, ...]
    more: int = 0


class Team(Protocol):
    """The networks of a training as a phase sees them. The recipe's own is called `network`."""

    step: int
    """Steps of this phase that were done before this one."""
    steps: int
    """Steps of this phase."""

    def __call__(
        self, name: str, voxels: torch.Tensor, weights: Mapping[str, torch.Tensor] | None = None
    ) -> dict[str, torch.Tensor]:
        """Raw heads, float32, of a network for `voxels` `(B, C, *S)`; with `weights`, those instead of its own."""

    def module(self, name: str) -> torch.nn.Module:
        """The network itself, for instance to let some of its layers drop out."""

    def kept(self, name: str) -> tuple[Mapping[str, torch.Tensor], ...]:
        """Weights of a network that earlier phases kept, the oldest first; averaged ones where there is an average."""

    def averaged(self, name: str) -> Mapping[str, torch.Tensor]:
        """A copy of the average of a network's weights over its steps, `training.average`: a teacher that changes
        slowly."""


@dataclass(frozen=True)
class Phase:
    """A part of a training with one set of networks that learn, one optimiser and one schedule.

    `build` gives a module `(team, voxels, targets) -> {term: scalar}`, the sum of whose terms is minimised; `voxels`
    `(B, C, *S)` and `targets`, those of the loss, are a batch as `Loss.build()` gets it. It may draw from torch's
    generator, and its buffers are part of a checkpoint; it has no other memory. Without `build` the recipe's network
    learns by all its losses.
    """

    name: str
    build: Callable[[], torch.nn.Module] | None = None
    share: float = 1.0
    """How much of the training, relative to the shares of the other phases."""
    learns: tuple[str, ...] = (OWN,)
    """The networks whose weights change; all others are in evaluation mode."""
    keeps: tuple[float, ...] = ()
    """Parts of the phase, in (0, 1], after which the weights of what learns are kept for later phases."""
    scored: bool = True
    """Whether the recipe's network, where it learns, means something already: otherwise its last weights are the best
    so far."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Fields of `training` that are different in this phase, of those in `DIFFER`."""
