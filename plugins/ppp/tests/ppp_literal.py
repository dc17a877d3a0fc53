"""Eqs 1–6 of the paper in floating point, every pair of pixels written out; the yardstick, slow on purpose.

Pixels are raster indices of the image. Matrices over all pairs of pixels hold the consensus.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from toolkit_ppp.patchperpix import PatchPerPix


@dataclass
class Patch:
    """One patch: the pixels that it covers, and their probabilities."""

    centre: int
    pixels: np.ndarray
    p: np.ndarray
    foreground: np.ndarray
    background: np.ndarray
    covers: np.ndarray

    @property
    def members(self) -> np.ndarray:
        return self.pixels[self.foreground]


def patches(
    probabilities: np.ndarray, foreground: np.ndarray, options: PatchPerPix, crowded: np.ndarray | None = None
) -> list[Patch]:
    """The patches that take part, in raster order. `probabilities` is (C, *S), `foreground` and `crowded` are (*S)."""
    shape, extent, t = foreground.shape, options.patch, options.threshold
    found = []
    for x in np.argwhere(foreground if crowded is None else foreground & ~crowded):
        where = [x + np.array(d) - options.radius for d in product(*map(range, extent))]
        inside = np.array([all(0 <= w < n for w, n in zip(y, shape, strict=True)) for y in where])
        if options.border == "drop" and not inside.all():
            continue
        channels = [c for c in np.flatnonzero(inside) if not options.sparse or foreground[tuple(where[c])]]
        p = probabilities[channels, *x].astype(float)
        below = {"complement": 1 - t, "below_threshold": t, "half": t / 2}[options.background]
        found.append(
            Patch(
                centre=int(np.ravel_multi_index(tuple(x), shape)),
                pixels=np.array([np.ravel_multi_index(tuple(where[c]), shape) for c in channels], int),
                p=p,
                foreground=p > t,
                background=p < below,
                covers=p > (t if options.cover_threshold is None else options.cover_threshold),
            )
        )
    return found


def consensus(found: list[Patch], count: int, options: PatchPerPix) -> tuple[np.ndarray, np.ndarray]:
    """aff and Z_aff (Eqs 3 and 4) of all ordered pairs of `count` pixels."""
    total, observed = np.zeros((count, count)), np.zeros((count, count), int)
    t2 = options.threshold**2

    def vote(a: np.ndarray) -> np.ndarray:
        return (a - t2) / (1 - t2) if options.vote == "normalised" else a

    for x in found:
        f, b, p = x.foreground, x.background, x.p
        votes = np.where(np.outer(f, f), vote(np.outer(p, p)), 0.0)
        votes -= np.where(np.outer(f, b), vote(np.outer(p, 1 - p)), 0.0)
        votes -= np.where(np.outer(b, f), vote(np.outer(1 - p, p)), 0.0)
        at = np.ix_(x.pixels, x.pixels)
        total[at] += votes
        seen = f | b if options.count == "decided" else np.ones_like(f)
        observed[at] += (np.outer(f, seen) | np.outer(seen, f)).astype(int)
    return total / np.maximum(observed, 1), observed


def score(x: Patch, affinity: np.ndarray) -> float:
    """Eq 5."""
    f, b = x.foreground, x.background
    among = affinity[np.ix_(x.pixels, x.pixels)]
    pairs = np.triu(np.ones_like(among, bool), 1)
    agreement = among[np.outer(f, f) & pairs].sum() - among[(np.outer(f, b) | np.outer(b, f)) & pairs].sum()
    informative = int(((f[:, None] | f[None, :]) & pairs).sum())
    return agreement / informative if informative else 0.0


def rank(found: list[Patch], scores: list[float]) -> list[int]:
    """Patches with foreground, best first, ties in raster order."""
    return sorted((k for k, x in enumerate(found) if x.foreground.any()), key=lambda k: (-scores[k], found[k].centre))


def cover(found: list[Patch], order: list[int], wanted: set[int], options: PatchPerPix) -> list[int]:
    """From high to low score, the patches that cover more new pixels of `wanted` than the step asks for."""
    left, taken = set(wanted), []
    for step in options.cover_steps:
        for k in order:
            new = left & set(found[k].pixels[found[k].covers].tolist())
            if k not in taken and len(new) > step:
                taken.append(k)
                left -= new
    return taken


def thin(found: list[Patch], taken: list[int], order: list[int], wanted: set[int]) -> list[int]:
    """Again and again the patch that covers most of what remains; ties go to the better rank."""
    left, kept = set(wanted), []
    best_first = [k for k in order if k in set(taken)]
    while True:
        gains = [len(left & set(found[k].pixels[found[k].covers].tolist())) for k in best_first]
        if not gains or max(gains) == 0:
            return kept
        kept.append(best_first[gains.index(max(gains))])
        left -= set(found[kept[-1]].pixels[found[kept[-1]].covers].tolist())


def patch_affinity(
    a: Patch, b: Patch, affinity: np.ndarray, observed: np.ndarray, shape: tuple[int, ...], options: PatchPerPix
) -> tuple[float, int]:
    """Eq 6: paff and Z_paff of two patches."""
    v, w = (x.ravel() for x in np.meshgrid(a.members, b.members, indexing="ij"))
    seen = (observed[v, w] > 0) & ((v != w) | options.self_pairs)
    total = affinity[v, w][seen].sum()
    count = int(seen.sum())
    if options.paff_count == "in_range":
        step = np.stack(np.unravel_index(w, shape)).astype(int) - np.stack(np.unravel_index(v, shape))
        step = np.where(w < v, -step, step)
        extent = np.array(options.patch)[:, None]
        count = int(((step >= 1 - extent) & (step <= np.where(extent > 1, extent, 0))).all(0).sum())
    return (total / count if count else 0.0), count


Edges = dict[tuple[int, int], float]
"""Affinity of pairs of nodes, named by their centres, lower first."""


def components(nodes: list[int], edges: Edges) -> set[frozenset[int]]:
    """Connected components of the positive edges."""
    return mutex(nodes, {pair: weight for pair, weight in edges.items() if weight > 0})


def mutex(nodes: list[int], edges: Edges) -> set[frozenset[int]]:
    """Mutex watershed (Wolf et al. 2018): strongest first; attractive edges join, repulsive ones forbid joining."""
    cluster = {n: frozenset([n]) for n in nodes}
    forbidden: set[tuple[int, int]] = set()
    for (a, b), weight in sorted(edges.items(), key=lambda e: (-abs(e[1]), e[0])):
        if weight < 0:
            forbidden |= {(a, b), (b, a)}
        elif weight > 0 and not any((m, n) in forbidden for m in cluster[a] for n in cluster[b]):
            joined = cluster[a] | cluster[b]
            cluster.update(dict.fromkeys(joined, joined))
    return set(cluster.values())


def label(found: list[Patch], order: list[int], clusters: set[frozenset[int]], options: PatchPerPix) -> list[set[int]]:
    """The pixels of each instance, smallest first pixel first."""
    by_centre = {x.centre: x for x in found}
    owner = {centre: nodes for nodes in clusters for centre in nodes}
    best: dict[int, tuple[float, int]] = {}
    instances: dict[frozenset[int], set[int]] = {nodes: set() for nodes in clusters}
    for place, k in enumerate(order):
        x = by_centre[found[k].centre]
        if x.centre not in owner:
            continue
        instances[owner[x.centre]] |= set(x.members.tolist())
        for y, p in zip(x.members.tolist(), x.p[x.foreground].tolist(), strict=True):
            best[y] = max(best.get(y, (0.0, 0)), (p, -place))
    if options.overlap == "highest_probability":
        winner = {y: owner[found[order[-place]].centre] for y, (_, place) in best.items()}
        instances = {nodes: {y for y in pixels if winner[y] == nodes} for nodes, pixels in instances.items()}
    return sorted((p for p in instances.values() if p and len(p) >= options.min_size), key=lambda p: (min(p), len(p)))
