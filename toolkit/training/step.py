"""One step of a training: rate, loss, gradient, average."""

from __future__ import annotations

from collections.abc import Sequence
from math import cos, isfinite, pi
from typing import TYPE_CHECKING, Any

from toolkit.errors import OutOfMemory, UsageError
from toolkit.gpu.backend import Backend
from toolkit.gpu.memory import exhausted
from toolkit.plugins.recipe import Recipe
from toolkit.plugins.sections import Training
from toolkit.training.data import Batch

if TYPE_CHECKING:
    import torch


class TooLarge(OutOfMemory):
    """A step that does not fit into memory; a smaller one may."""


def layout(ndim: int) -> torch.memory_format:
    """How weights and maps lie in memory: channels last, in which convolutions train a quarter faster."""
    import torch

    return torch.channels_last if ndim == 2 else torch.channels_last_3d


def mixed(recipe: Recipe, backend: Backend) -> bool:
    """Whether the network may compute in 16 bits, as it does unless the result would be wrong.

    On the CPU torch 2.13 gives random gradients of bfloat16 3-D convolutions whose maps are two voxels deep.
    """
    shallow = recipe.ndim == 3 and recipe.training.crop[0] // recipe.network.stride(3)[0] <= 2
    return backend.on_gpu or not shallow


def optimiser(training: Training, module: torch.nn.Module) -> torch.optim.Optimizer:
    """The recipe's optimiser of the weights of `module`."""
    import torch

    weights, rate, decay = module.parameters(), training.learning_rate, training.weight_decay
    match training.optimiser:
        case "adam":
            return torch.optim.Adam(weights, lr=rate, weight_decay=decay)
        case "adamw":
            return torch.optim.AdamW(weights, lr=rate, weight_decay=decay)
        case "sgd":
            return torch.optim.SGD(weights, lr=rate, momentum=0.9, weight_decay=decay)


def rate(training: Training, step: int, steps: int) -> float:
    """Learning rate of a step, counted from 0, of a training of `steps` steps."""
    done = min(1.0, step / max(1, steps))
    shape: float = {"poly": (1 - done) ** 0.9, "cosine": (1 + cos(pi * done)) / 2, "constant": 1.0}[training.schedule]
    return training.learning_rate * shape * min(1.0, (step + 1) / max(1, training.warmup))


def settle(module: torch.nn.Module, share: float, step: int, steps: int) -> None:
    """In the last `share` of the steps, batch normalisation uses its running statistics and changes them no more."""
    import torch

    if step >= round((1 - share) * steps):
        for layer in module.modules():
            if isinstance(layer, torch.nn.modules.batchnorm._BatchNorm):
                layer.eval()


def step(
    number: int,
    module: torch.nn.Module,
    criteria: Sequence[torch.nn.Module],
    optimiser: torch.optim.Optimizer,
    batch: Batch,
    rate: float,
    seed: int,
    backend: Backend,
    mixed: bool = True,
) -> dict[str, float]:
    """Step `number` (from 0) of the optimiser; returns the loss terms.

    Raises `UsageError` if the loss is no number: the weights would never be numbers again; `TooLarge` if memory
    ran out.
    """
    import torch

    torch.manual_seed(seed)  # dropout, the only chance left in a step
    for group in optimiser.param_groups:
        group["lr"] = rate
    optimiser.zero_grad(set_to_none=True)
    try:
        tensors = {name: torch.from_numpy(array).to(backend.device) for name, array in batch.items()}
        voxels = tensors["voxels"].contiguous(memory_format=layout(tensors["voxels"].ndim - 2))
        with torch.autocast(backend.device.partition(":")[0], torch.bfloat16, enabled=mixed):
            heads = module(voxels)
        terms: dict[str, Any] = {}
        for at, criterion in enumerate(criteria):
            mark = f"{at}."
            own = {name.removeprefix(mark): t for name, t in tensors.items() if name.startswith(mark)}
            found = criterion({name: head.float() for name, head in heads.items()}, own)
            terms |= {name if at == 0 else f"auxiliary.{name}": value for name, value in found.items()}
        total = torch.stack([t.float() for t in terms.values()]).sum()
        values = {name: float(value.detach()) for name, value in terms.items()}
        if not isfinite(float(total.detach())):
            wrong = ", ".join(name for name, value in values.items() if not isfinite(value)) or "their sum"
            raise UsageError(
                "the loss is no number any more",
                f"step {number + 1}, {wrong}",
                "train anew with a lower training.learning_rate or a longer training.warmup",
            )
        total.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    except (RuntimeError, MemoryError) as error:
        if not exhausted(error):
            raise
        raise TooLarge(
            "memory does not suffice for a training step",
            f"batch of {len(batch['voxels'])} crops of {list(batch['voxels'].shape[2:])}",
            "choose --set training.batch=1 or a smaller training.crop",
        ) from error
    return values


def follow(average: dict[str, torch.Tensor], module: torch.nn.Module, decay: float, step: int) -> None:
    """Move the average towards the weights; in the first steps it forgets faster."""
    import torch

    decay = min(decay, (1 + step) / (10 + step))
    with torch.no_grad():
        for name, value in module.state_dict().items():
            if value.is_floating_point():
                average[name].lerp_(value, 1 - decay)
            else:
                average[name].copy_(value)
