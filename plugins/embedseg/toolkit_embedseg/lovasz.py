# ruff: noqa: TID253
# Imported only by EmbedSegLoss.build(), so torch may be loaded here.
"""The EmbedSeg loss as a module. N objects of all images of a batch, D axes, P pixels of an image, M of an object.

No step goes object by object: what belongs to one is a segment of a longer array, so that a card is asked for a few
large things and not for thousands of small ones.
"""

from __future__ import annotations

from itertools import pairwise
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
        shape = heads["seediness"].shape[2:]
        count, ndim, area = len(heads["seediness"]), len(shape), shape.numel()
        seen, known = targets["known"].reshape(count, 2, area).unbind(1)
        labels = targets["labels"].reshape(count, -1, area)
        seediness = torch.sigmoid(_flat(heads["seediness"]))[0]
        bandwidth, offset = _flat(heads["bandwidth"]), torch.tanh(_flat(heads["offsets"]))
        background = (known & (labels <= 0).all(1)).reshape(-1)
        seed = _sums(torch.where(background, seediness**2, 0), count)
        pixels, mine, image, centre = _objects(labels, seen, targets["centres"])
        instance = smooth = torch.stack([t.sum() * 0 for t in (seediness, bandwidth, offset)]).sum().expand(count)
        if len(image):
            step = torch.tensor(units(self.grid, self.anisotropy, ndim), device=bandwidth.device)
            axes = [torch.arange(n, device=step.device, dtype=step.dtype) * u for n, u in zip(shape, step, strict=True)]
            position = torch.stack(torch.meshgrid(*axes, indexing="ij")).reshape(ndim, -1)
            centre = centre * step[:, None]
            inverse, spread = self._bandwidth(bandwidth[:, pixels], mine, len(image))
            near, which, inside = _near(
                position, offset.detach(), (pixels, mine), image, seen, centre, inverse.detach()
            )
            # Integer voxel differences plus the offset: no large absolute coordinates enter the square.
            gap = position[:, near % area] - centre[:, which] + offset[:, near]
            phi = torch.exp(-(inverse[:, which] * gap**2).sum(0))
            seed = seed + self.foreground_weight * _by(
                (seediness[pixels] - phi[inside].detach()) ** 2, pixels // area, count
            )
            lacking = self.lovasz(phi, inside, which, len(image))
            instance, smooth = instance + _mean(lacking, image, count), smooth + _mean(spread, image, count)
        terms = instance, smooth, seed / seen.sum(1).clamp(min=1)
        sums = [weight * term.mean() for weight, term in zip(self.weights, terms, strict=True)]
        return dict(zip(("instance", "smoothness", "seed"), sums, strict=True))

    def _bandwidth(self, raw: Tensor, mine: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """1/(2σ²) of each object per axis `(D, N)` from the raw outputs `(D, M)` of its pixels, and its smoothness."""
        value = raw if self.bandwidth_mean == "geometric" else torch.exp(-5 * raw) / 2**0.5
        mean = _mean(value, mine, count)
        spread = _mean((value - mean.detach()[:, mine]) ** 2, mine, count)
        inverse = torch.exp(10 * mean) if self.bandwidth_mean == "geometric" else 1 / (2 * mean**2)
        return inverse, (spread.mean(0) if self.var_axes == "mean" else spread.sum(0))


def _flat(head: Tensor) -> Tensor:
    """A head `(B, C, *S)` as `(C, B·P)`, float32."""
    return head.float().transpose(0, 1).reshape(head.shape[1], -1)


def _by(values: Tensor, which: Tensor, count: int) -> Tensor:
    """Sums of `values` `(…, M)` over the items of each of `count` segments, which `which` `(M,)` numbers."""
    return values.new_zeros(*values.shape[:-1], count).index_add(-1, which, values)


def _mean(values: Tensor, which: Tensor, count: int) -> Tensor:
    """The same for means; 0 for a segment without items."""
    return _by(values, which, count) / torch.bincount(which, minlength=count).clamp(min=1)


def _sums(values: Tensor, count: int) -> Tensor:
    """Sums over the images, `(B,)`, of values of all pixels `(B·P,)`."""
    return values.reshape(count, -1).sum(1)


def _objects(labels: Tensor, seen: Tensor, centres: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Pixels of all objects, ascending within one, as numbers of the batch `(M,)`; whose they are `(M,)`; the image of
    each object `(N,)`; its centre pixel `(D, N)`.

    `labels` `(B, L, P)`, `seen` `(B, P)`, `centres` `(B, R, 1 + D)`: id and centre pixel, 0 where there is no more.
    """
    image, row = torch.nonzero(centres[..., 0] > 0, as_tuple=True)
    of, layer, pixel = torch.nonzero((labels > 0) & seen[:, None], as_tuple=True)
    names = centres[image, row]
    apart = labels.max().long() + 1
    known, order = torch.sort(image * apart + names[:, 0])
    if not len(known):
        return pixel[:0], pixel[:0], image, names[:, 1:].T
    mine = order[torch.searchsorted(known, of * apart + labels[of, layer, pixel])]
    mine, order = torch.sort(mine, stable=True)
    return (of * labels.shape[-1] + pixel)[order], mine, image, names[:, 1:].T


def _near(
    position: Tensor,
    offset: Tensor,
    own: tuple[Tensor, Tensor],
    image: Tensor,
    seen: Tensor,
    centre: Tensor,
    inverse: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """The pixels whose φ counts, as numbers of the batch, ascending within an object; of which object; which of them
    are its own.

    `position` `(D, P)`, `offset` `(D, B·P)`, `own` as of `_objects`, `image` `(N,)`, `seen` `(B, P)`, `centre` and
    `inverse` = 1/(2σ²) `(D, N)`.
    """
    area = seen.shape[1]
    begins = torch.searchsorted(image, torch.arange(len(seen) + 1, device=image.device)).tolist()
    found = []
    for b, (first, end) in enumerate(pairwise(begins)):
        if end > first:
            embedded = position + offset[:, b * area : (b + 1) * area]
            which, pixel = (_sorted if seen.is_cpu else _dense)(embedded, centre[:, first:end], inverse[:, first:end])
            counts = seen[b][pixel]
            found.append((which[counts] + first) * seen.numel() + pixel[counts] + b * area)
    pixels, mine = own
    members = mine * seen.numel() + pixels
    every = torch.unique(torch.cat([*found, members]))
    inside = torch.zeros(len(every), dtype=torch.bool, device=every.device)
    inside[torch.searchsorted(every, members)] = True
    return every % seen.numel(), every // seen.numel(), inside


def _dense(embedded: Tensor, centre: Tensor, inverse: Tensor) -> tuple[Tensor, Tensor]:
    """Pairs (object, pixel) of an image with −log φ below `FAR`: all are looked at."""
    distance = embedded.new_zeros(centre.shape[1], embedded.shape[1])
    for e, c, s in zip(embedded, centre, inverse, strict=True):
        distance.addcmul_(gap := e - c[:, None], gap * s[:, None])
    which, pixel = torch.nonzero(distance < FAR, as_tuple=True)
    return which, pixel


def _sorted(embedded: Tensor, centre: Tensor, inverse: Tensor) -> tuple[Tensor, Tensor]:
    """The same, of those alone that are near on the first axis: beyond its reach φ cannot count."""
    first, order = torch.sort(embedded[0])
    reach = (FAR / inverse[0]) ** 0.5 * (1 + 1e-3) + 1e-6
    lows = torch.searchsorted(first, centre[0] - reach).tolist()
    highs = torch.searchsorted(first, centre[0] + reach, right=True).tolist()
    found = []
    for n, (low, high) in enumerate(zip(lows, highs, strict=True)):
        some = order[low:high]
        distance = embedded.new_zeros(len(some))
        for e, c, s in zip(embedded, centre[:, n], inverse[:, n], strict=True):
            distance.addcmul_(gap := e[some] - c, gap, value=float(s))
        found.append(some[distance < FAR])
    which = torch.repeat_interleave(torch.tensor([len(some) for some in found]))
    return which, torch.cat(found)


def lovasz_hinge(phi: Tensor, inside: Tensor, which: Tensor, count: int) -> Tensor:
    """Lovász hinge (Yu and Blaschko 2015) of the score 2φ − 1 of each of `count` objects against its mask, `(N,)`.

    `phi`, `inside` and `which` (the object, ascending) `(M,)`.
    """
    return _extension(torch.where(inside, 2 - 2 * phi, 2 * phi), inside, which, count)


def lovasz_softmax(phi: Tensor, inside: Tensor, which: Tensor, count: int) -> Tensor:
    """Lovász-Softmax (Berman et al. 2018) of the probability φ, likewise."""
    return _extension(torch.where(inside, 1 - phi, phi), inside, which, count)


def _extension(errors: Tensor, inside: Tensor, which: Tensor, count: int) -> Tensor:
    """Lovász extension of the Jaccard loss at `errors` ≥ 0 of each object."""
    order = _descending(errors.detach(), which)
    errors = errors[order]
    truth = inside[order].long()
    # Counts within a segment: whole numbers, so those of the segments before are taken off exactly.
    sizes = torch.bincount(which, minlength=count)
    before = (sizes.cumsum(0) - sizes)[which]
    hits = torch.cat([truth.new_zeros(1), truth.cumsum(0)])
    hit = hits[1:] - hits[before]
    miss = torch.arange(1, len(which) + 1, device=which.device) - before - hit
    total = _by(truth, which, count)[which]
    jaccard = 1 - (total - hit).to(errors.dtype) / (total + miss).to(errors.dtype)
    first = torch.arange(len(which), device=which.device) == before
    rise = jaccard - torch.where(first, 0, jaccard.roll(1))
    return _by(errors * rise, which, count)


def _descending(values: Tensor, which: Tensor) -> Tensor:
    """Order by segment, then from the largest value on; NumPy's sort is about twice as fast as torch's where it can
    be had."""
    if values.is_cpu:
        numbers, ends = -values.numpy(), np.cumsum(np.bincount(which.numpy()))
        spans = zip(ends, np.diff(ends, prepend=0), strict=True)
        parts = [np.argsort(numbers[end - n : end]) + end - n for end, n in spans]
        return torch.from_numpy(np.concatenate(parts)) if parts else which
    order = torch.argsort(values, descending=True)
    return order[torch.argsort(which[order], stable=True)]
