"""How much memory a training step takes."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from toolkit.gpu.backend import Backend, short
from toolkit.plugins.phases import Member
from toolkit.plugins.recipe import Recipe
from toolkit.plugins.specs import Network
from toolkit.registry import package

WORK = 2.0
"""A step holds its saved maps, their gradients and the work of losses: so many times the saved maps."""
COPIES = 6
"""Weights, their gradient, two moments, the average and a copy while it is validated; 4 bytes each."""


@dataclass(frozen=True)
class Footprint:
    """Bytes of a training step: those of the weights and those per voxel of its crops."""

    fixed: int
    voxel: float

    def bytes(self, crop: tuple[int, ...], batch: int) -> int:
        """Of a step with so many crops."""
        return int(self.fixed + self.voxel * prod(crop) * batch)


def footprint(recipe: Recipe, backend: Backend) -> Footprint:
    """Measured on the CPU from the maps that two small crops save for their gradient; they differ in one axis.

    The maps are of 16 bits where the `backend` computes so. Networks that take part in a training count as if all
    learnt at once.
    """
    own = Member(recipe.network, recipe.heads)
    half = short(backend)
    found = [_of(recipe, m, half) for m in (own, *recipe.main.members(recipe.network, recipe.ndim).values())]
    return Footprint(sum(f.fixed for f in found), sum(f.voxel for f in found))


def _of(recipe: Recipe, member: Member[Network], half: bool) -> Footprint:
    import torch

    channels, stride = package.channels(recipe) + member.more, member.network.stride(recipe.ndim)
    module = package.network(recipe, member).train()
    small = tuple(4 * s for s in stride)
    large = (*small[:-1], 2 * small[-1])
    weights = sum(p.numel() for p in module.parameters())
    with torch.random.fork_rng(devices=[]):
        saved = [_saved(module, torch.zeros(1, channels, *shape), half) for shape in (small, large)]
    return Footprint(4 * COPIES * weights, WORK * max(1.0, (saved[1] - saved[0]) / (prod(large) - prod(small))))


def _saved(module: object, voxels: object, half: bool) -> int:
    """Bytes that a forward pass keeps for the gradient, with `half` in mixed precision; each storage counts once."""
    import torch

    assert isinstance(module, torch.nn.Module)
    kept: dict[int, torch.UntypedStorage] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage()
        return tensor

    mixed = torch.autocast("cpu", torch.bfloat16, enabled=half)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t), mixed:
        heads = module(voxels)
    del heads
    return sum(storage.nbytes() for storage in kept.values())
