"""Losses of the vectors of one image, for each object and for what is in none (Wolny et al., CVPR 2022).

C objects, A anchors, N voxels, E numbers of a vector. `at` are vectors `(C, E)`, `vectors` those of voxels `(N, E)`.
"""

# ruff: noqa: TID253
# Only what `SpocoLoss` builds imports this file.

from __future__ import annotations

from math import log

import torch
from torch import Tensor

LEAST = -40.0
"""Logarithm of the least value of a mask: smaller ones, and their squares, are no numbers that a CPU is quick with."""


def distances(at: Tensor, vectors: Tensor) -> Tensor:
    """`(C, N)`, with no gradient where it is 0; not by products, whose rounding makes long gradients of short ways."""
    return torch.cdist(at, vectors, compute_mode="donot_use_mm_for_euclid_dist")


def means(vectors: Tensor, inside: Tensor) -> Tensor:
    """`(C, E)`: of the voxels `inside` `(C, N)` bool, of which each object has one."""
    return inside.to(vectors.dtype) @ vectors / inside.sum(1, keepdim=True)


def pull(distance: Tensor, inside: Tensor, within: float) -> Tensor:
    """1/C Σ_k 1/N_k Σ_{i in k} [‖μ_k − e_i‖ − δ_v]₊², of distances `(C, N)` from the means."""
    return _mean((distance - within).clamp(min=0) ** 2, inside).mean()


def push(mean: Tensor, beyond: float) -> Tensor:
    """1/(C(C − 1)) Σ_{k ≠ l} [2δ_d − ‖μ_k − μ_l‖]₊²; 0 for a single object."""
    near = (2 * beyond - distances(mean, mean)).clamp(min=0) ** 2
    return _mean(near, ~torch.eye(len(mean), dtype=torch.bool, device=mean.device)).mean()


def short(mean: Tensor) -> Tensor:
    """1/C Σ_k ‖μ_k‖."""
    lengths: Tensor = torch.linalg.vector_norm(mean, dim=1)
    return lengths.mean()


def push_rest(distance: Tensor, rest: Tensor, beyond: float) -> Tensor:
    """1/C Σ_k 1/N_U Σ_{i in U} [δ_d − ‖μ_k − e_i‖]₊², U being `rest` `(N,)` bool: what is in no annotated object."""
    return _mean((beyond - distance).clamp(min=0) ** 2, rest.expand_as(distance)).mean()


def masks(anchors: Tensor, vectors: Tensor, within: float, chosen: float) -> Tensor:
    """`(A, N)`: exp(−‖a − e_i‖²/2σ²), how much a voxel belongs to each anchor: 1 at the anchor, and `chosen` at the
    distance `within`, which gives σ."""
    return torch.exp((log(chosen) / within**2 * squares(anchors, vectors)).clamp(LEAST, 0))


def squares(at: Tensor, vectors: Tensor) -> Tensor:
    """Squared distances `(C, N)`; by products, which is many times faster and does where no root is taken."""
    return (at**2).sum(1)[:, None] + (vectors**2).sum(1) - 2 * at @ vectors.T


def dice(one: Tensor, other: Tensor) -> Tensor:
    """`(A,)`: 1 − 2 Σ st / (Σ s² + Σ t²) of masks `(A, N)`: 0 for equal ones, soft or not (Milletari et al. 2016)."""
    both = (one**2).sum(1) + (other**2).sum(1)
    return 1 - 2 * (one * other).sum(1) / both.clamp(min=torch.finfo(both.dtype).tiny)


def drawn(inside: Tensor) -> Tensor:
    """`(C,)`: a voxel of each object, at random."""
    return torch.multinomial(inside.float(), 1)[:, 0]


@torch.no_grad()
def anchors(vectors: Tensor, free: Tensor, within: float, chosen: float, most: int) -> Tensor:
    """`(A,)`: voxels of `free` `(N,)` bool at random, each outside of the masks of those before it, until masks cover
    it all or there are `most`."""
    reach = within**2 * log(0.5) / log(chosen)
    left, found = free.clone(), list[Tensor]()
    while len(found) < most and len(places := left.nonzero()[:, 0]):
        place = places[torch.randint(len(places), (), device=places.device)]
        found.append(place)
        left &= squares(vectors[place][None], vectors)[0] > reach
        left[place] = False
    return torch.stack(found) if found else torch.zeros(0, dtype=torch.long, device=vectors.device)


def _mean(values: Tensor, where: Tensor) -> Tensor:
    """Of each row; 0 where there is nothing."""
    return (values * where).sum(1) / where.sum(1).clamp(min=1)
