"""One step of a training: rate, optimiser, gradient."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import cos, isfinite, pi
from typing import TYPE_CHECKING, Any

from toolkit.errors import OutOfMemory, PluginError, UsageError
from toolkit.gpu.backend import Backend
from toolkit.gpu.memory import exhausted
from toolkit.plugins.phases import Team
from toolkit.plugins.sections import Learning
from toolkit.plugins.specs import Network
from toolkit.training.data import Batch

if TYPE_CHECKING:
    import torch


RISE = 10
"""The learning rate rises in the first of so many parts of the steps at most: in a short training nothing else would
be left of it."""


UNSETTLED = 300
"""In the first steps, batch normalisation never settles: what it would keep is out of date after the next ones."""


class TooLarge(OutOfMemory):
    """A step that does not fit into memory; a smaller one may."""


def mixed(network: Network, crop: tuple[int, ...], backend: Backend) -> bool:
    """Whether a network may compute in 16 bits, as it does where that is faster unless the result would be wrong.

    On the CPU torch 2.13 gives random gradients of bfloat16 3-D convolutions whose maps are two voxels deep.
    """
    shallow = len(crop) == 3 and crop[0] // network.stride(3)[0] <= 2
    return backend.on_gpu or not shallow


def optimiser(training: Learning, weights: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
    """The recipe's optimiser of these weights."""
    import torch

    rate, decay = training.learning_rate, training.weight_decay
    match training.optimiser:
        case "amsgrad":
            return torch.optim.Adam(weights, lr=rate, weight_decay=decay, amsgrad=True)
        case "adam":
            return torch.optim.Adam(weights, lr=rate, weight_decay=decay)
        case "adamw":
            return torch.optim.AdamW(weights, lr=rate, weight_decay=decay)
        case "sgd":
            return torch.optim.SGD(weights, lr=rate, momentum=0.9, weight_decay=decay)


def rate(training: Learning, step: int, steps: int) -> float:
    """Learning rate of a step, counted from 0, of a training of `steps` steps."""
    done = min(1.0, step / max(1, steps))
    shape: float = {"poly": (1 - done) ** 0.9, "cosine": (1 + cos(pi * done)) / 2, "constant": 1.0}[training.schedule]
    rise = min(training.warmup, steps // RISE)
    return training.learning_rate * shape * min(1.0, (step + 1) / max(1, rise))


def settle(module: torch.nn.Module, share: float, step: int, steps: int) -> None:
    """In the last `share` of the steps, but not before `UNSETTLED` are done, batch normalisation uses its running
    statistics and changes them no more."""
    import torch

    if step >= max(UNSETTLED, round((1 - share) * steps)):
        for layer in module.modules():
            if isinstance(layer, torch.nn.modules.batchnorm._BatchNorm):
                layer.eval()


def descend(
    criterion: Callable[[Team, torch.Tensor, dict[str, torch.Tensor]], dict[str, Any]],
    team: Team,
    optimiser: torch.optim.Optimizer,
    batches: Sequence[Batch],
    number: int,
    backend: Backend,
) -> dict[str, float]:
    """Move the weights once, by the mean of the gradients of `batches`; returns the means of the loss terms.

    Raises `UsageError` if the loss is no number: the weights would never be numbers again; `TooLarge` if memory
    ran out. `criterion(team, voxels, targets) -> {term: scalar}`; `number` (from 0) is that of the step.
    """
    import torch

    optimiser.zero_grad(set_to_none=True)
    means: dict[str, float] = {}
    try:
        for batch in batches:
            tensors = {name: torch.from_numpy(array).to(backend.device) for name, array in batch.items()}
            terms = criterion(team, tensors.pop("voxels"), tensors)
            total = torch.stack([t.float() for t in terms.values()]).sum()
            values = {name: float(value.detach()) for name, value in terms.items()}
            if not isfinite(float(total.detach())):
                wrong = ", ".join(name for name, value in values.items() if not isfinite(value)) or "their sum"
                raise UsageError(
                    "the loss is no number any more",
                    f"step {number + 1}, {wrong}",
                    "train anew with a lower training.learning_rate or a longer training.warmup",
                )
            if not total.requires_grad:
                raise PluginError(
                    "the loss depends on no network that learns",
                    f"step {number + 1}, {', '.join(terms)}",
                    "let the phase name the networks that its terms depend on",
                )
            (total / len(batches)).backward()  # type: ignore[no-untyped-call]
            means = {name: means.get(name, 0.0) + value / len(batches) for name, value in values.items()}
        optimiser.step()
    except (RuntimeError, MemoryError) as error:
        if not exhausted(error):
            raise
        raise TooLarge(
            "memory does not suffice for a training step",
            f"batch of {len(batches[0]['voxels'])} crops of {list(batches[0]['voxels'].shape[2:])}",
            "choose --set training.batch=1 or a smaller training.crop",
        ) from error
    return means
