# ruff: noqa: TID253
# Imported only by EmbedSegLoss.build(), so torch may be loaded here.
"""The EmbedSeg loss as a module. N objects, D axes, P pixels that take part."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from toolkit_embedseg.geometry import units

FAR = 12.0
"""Pixels with −log φ above this (φ < 1e-5) and outside of the object add nothing that counts, and are left out."""


class EmbeddingLoss(nn.Module):
    """`(heads, targets) -> {"instance", "smoothness", "seed"}`, each the mean over the images of a batch, weighted.

    Arguments are the fields of `EmbedSegLoss`; `weights` those of the three terms.
    """

    def __init__(
        self,
        grid: int,
        anisotropy: tuple[float, ...],
        lovasz: Literal["softmax", "hinge"],
        var_axes: Literal["sum", "mean"],
        bandwidth_mean: Literal["arithmetic", "geometric"],
        foreground_weight: float,
        weights: tuple[float, float, float],
    ) -> None:
        super().__init__()
        self.grid, self.anisotropy, self.weights = grid, anisotropy, weights
        self.lovasz = lovasz_hinge if lovasz == "hinge" else lovasz_softmax
        self.var_axes, self.bandwidth_mean, self.foreground_weight = var_axes, bandwidth_mean, foreground_weight

    def forward(self, heads: dict[str, Tensor], targets: dict[str, Tensor]) -> dict[str, Tensor]:
        count = len(heads["seediness"])
        terms = [
            self._image(
                {name: head[b].float() for name, head in heads.items()},
                {name: target[b] for name, target in targets.items()},
            )
            for b in range(count)
        ]
        sums = [w * torch.stack(t).mean() for w, t in zip(self.weights, zip(*terms, strict=True), strict=True)]
        return dict(zip(("instance", "smoothness", "seed"), sums, strict=True))

    def _image(self, heads: dict[str, Tensor], targets: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        shape = heads["seediness"].shape[1:]
        ndim = len(shape)
        seen, known = targets["known"].reshape(2, -1)
        labels = targets["labels"].reshape(len(targets["labels"]), -1)
        bandwidth = heads["bandwidth"].reshape(ndim, -1)
        seediness = torch.sigmoid(heads["seediness"]).reshape(-1)
        step = torch.tensor(units(self.grid, self.anisotropy, ndim), device=bandwidth.device)
        axes = [torch.arange(n, device=step.device, dtype=step.dtype) * u for n, u in zip(shape, step, strict=True)]
        position = torch.stack(torch.meshgrid(*axes, indexing="ij")).reshape(ndim, -1)
        offset = torch.tanh(heads["offsets"]).reshape(ndim, -1)
        embedded = position + offset.detach()

        background = known & (labels <= 0).all(0)
        seed = (seediness[background] ** 2).sum()
        rows = [row for row in targets["centres"].tolist() if row[0] > 0]
        if not rows:
            zero = seediness.sum() * 0 + bandwidth.sum() * 0 + offset.sum() * 0
            return zero, zero, seed / seen.sum().clamp(min=1)
        members = _members(labels, seen)
        own = [members[row[0]] for row in rows]
        # All objects are gathered at once: the gradient of each gathering is as large as the image.
        every = torch.cat(own)
        parts = torch.split(bandwidth[:, every], [len(member) for member in own], 1)
        means, smooth = zip(*map(self._bandwidth, parts), strict=True)
        mean = torch.stack(means, 1)
        centre = torch.tensor([row[1:] for row in rows], device=step.device).T * step[:, None]
        near, inside = _near(embedded, own, seen, centre, mean.detach())
        counts = [len(pixels) for pixels in near]
        pixels, mine = torch.cat(near), torch.cat(inside)
        which = torch.repeat_interleave(torch.tensor(counts, device=pixels.device))
        # Integer voxel differences plus the offset: no large absolute coordinates enter the square.
        gap = position[:, pixels] - centre[:, which] + offset[:, pixels]
        phi = torch.exp(-(mean[:, which] * gap**2).sum(0))
        instance = torch.stack([self.lovasz(*pair) for pair in zip(torch.split(phi, counts), inside, strict=True)])
        seed = seed + self.foreground_weight * ((seediness[every] - phi[mine].detach()) ** 2).sum()
        return instance.mean(), torch.stack(smooth).mean(), seed / seen.sum().clamp(min=1)

    def _bandwidth(self, raw: Tensor) -> tuple[Tensor, Tensor]:
        """1/(2σ²) of an object per axis `(D,)` from the raw outputs of its pixels `(D, P)`, and its smoothness."""
        if self.bandwidth_mean == "geometric":
            mean = raw.mean(1)
            spread = (raw - mean[:, None].detach()) ** 2
            inverse = torch.exp(10 * mean)
        else:
            sigma = torch.exp(-5 * raw) / 2**0.5
            mean = sigma.mean(1)
            spread = (sigma - mean[:, None].detach()) ** 2
            inverse = 1 / (2 * mean**2)
        return inverse, (spread.mean() if self.var_axes == "mean" else spread.mean(1).sum())


def _members(labels: Tensor, seen: Tensor) -> dict[int, Tensor]:
    """Pixels of each object, ascending, of `labels` `(L, P)`."""
    layer, pixel = torch.nonzero((labels > 0) & seen, as_tuple=True)
    ids, order = torch.sort(labels[layer, pixel], stable=True)
    names, counts = torch.unique_consecutive(ids, return_counts=True)
    return dict(zip(names.tolist(), torch.split(pixel[order], counts.tolist()), strict=True))


def _near(
    embedded: Tensor, own: list[Tensor], seen: Tensor, centre: Tensor, inverse: Tensor
) -> tuple[list[Tensor], list[Tensor]]:
    """Of each object the pixels whose φ counts, ascending, and which of them are its own.

    `embedded` `(D, P)`, `own` pixels of each object, `centre` and `inverse` = 1/(2σ²) `(D, N)`.
    """
    first, order = torch.sort(embedded[0])
    reach = (FAR / inverse[0]) ** 0.5 * (1 + 1e-3) + 1e-6  # beyond it on the first axis alone φ does not count
    lows = torch.searchsorted(first, centre[0] - reach).tolist()
    highs = torch.searchsorted(first, centre[0] + reach, right=True).tolist()
    counted, mine = torch.zeros_like(seen), torch.zeros_like(seen)
    near, inside = [], []
    for n, (member, low, high) in enumerate(zip(own, lows, highs, strict=True)):
        some = order[low:high]
        distance = torch.zeros(len(some), device=some.device)
        for e, c, s in zip(embedded, centre[:, n], inverse[:, n], strict=True):
            gap = e[some] - c
            distance.addcmul_(gap, gap, value=float(s))
        counted.zero_()[some[distance < FAR]] = True
        counted[member] = True
        near.append(torch.nonzero(counted.logical_and_(seen))[:, 0])
        inside.append(mine.zero_().index_fill_(0, member, value=True)[near[-1]])
    return near, inside


def lovasz_hinge(phi: Tensor, inside: Tensor) -> Tensor:
    """Lovász hinge (Yu and Blaschko 2015) of the score 2φ − 1 against a mask; both `(P,)`."""
    errors = torch.where(inside, 2 - 2 * phi, 2 * phi)
    return _extension(errors, inside)


def lovasz_softmax(phi: Tensor, inside: Tensor) -> Tensor:
    """Lovász-Softmax (Berman et al. 2018) of the probability φ against a mask; both `(P,)`."""
    errors = torch.where(inside, 1 - phi, phi)
    return _extension(errors, inside)


def _extension(errors: Tensor, inside: Tensor) -> Tensor:
    """Lovász extension of the Jaccard loss at `errors` ≥ 0."""
    order = _descending(errors.detach())
    errors = errors[order]
    truth = inside[order].to(errors.dtype)
    total = truth.sum()
    hit, miss = truth.cumsum(0), (1 - truth).cumsum(0)
    jaccard = 1 - (total - hit) / (total + miss)
    jaccard[1:] = jaccard[1:] - jaccard[:-1].clone()
    return torch.dot(errors, jaccard)


def _descending(values: Tensor) -> Tensor:
    """Order from the largest on; NumPy's sort is about twice as fast as torch's where it can be had."""
    if values.is_cpu:
        return torch.from_numpy(np.argsort(-values.numpy()))
    return torch.argsort(values, descending=True)
