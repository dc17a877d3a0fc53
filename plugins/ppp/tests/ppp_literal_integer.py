"""Eqs 3–6 in Python integers and fractions, pair by pair, with the rounding that the fast version promises.

Everything else (which pixels, which order, which sets) is `literal`, whose rules do not care about the number type.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import combinations

import numpy as np
import ppp_literal as literal
from ppp_literal import Patch
from toolkit_ppp.patchperpix import PatchPerPix

Consensus = dict[tuple[int, int], int]


def patches(probabilities, foreground, options: PatchPerPix, crowded=None) -> list[Patch]:
    """As in `literal`, with probabilities in units of 1/255; classes are those of the exact probabilities."""
    return [
        replace(x, p=np.rint(255 * x.p).astype(int))
        for x in literal.patches(probabilities, foreground, options, crowded)
    ]


def consensus(found: list[Patch], options: PatchPerPix) -> tuple[Consensus, Consensus]:
    """16384·aff and Z_aff of unordered pairs `(y, z)`, y ≤ z."""
    votes: Consensus = {}
    balance: Consensus = {}
    count: Consensus = {}
    for x in found:
        entries = list(zip(x.pixels.tolist(), x.p.tolist(), x.foreground.tolist(), x.background.tolist(), strict=True))
        for y, z in [*combinations(entries, 2), *((e, e) for e in entries)]:
            (a, p, p_in, p_out), (b, q, q_in, q_out) = y, z
            if not (p_in or q_in) or (options.count == "decided" and not ((p_in or p_out) and (q_in or q_out))):
                continue
            pair = (min(a, b), max(a, b))
            sign, vote = 0, 0
            if p_in and q_in:
                sign, vote = 1, p * q
            elif p_in and q_out:
                sign, vote = -1, -p * (255 - q)
            elif p_out and q_in:
                sign, vote = -1, -(255 - p) * q
            votes[pair] = votes.get(pair, 0) + vote
            balance[pair] = balance.get(pair, 0) + sign
            count[pair] = count.get(pair, 0) + 1
    t2 = options.threshold * options.threshold
    affinity = {}
    for pair, n in votes.items():
        exact = float(n)
        if options.vote == "normalised":
            exact = (exact - 65025.0 * t2 * balance[pair]) / (1.0 - t2)
        affinity[pair] = int(np.rint(exact * 16384.0 / (count[pair] * 65025.0)))
    return affinity, count


def score(x: Patch, affinity: Consensus) -> Fraction:
    """Eq 5."""
    agreement = informative = 0
    entries = list(zip(x.pixels.tolist(), x.foreground.tolist(), x.background.tolist(), strict=True))
    for (a, a_in, a_out), (b, b_in, b_out) in combinations(entries, 2):
        pair = (min(a, b), max(a, b))
        informative += a_in or b_in
        if a_in and b_in:
            agreement += affinity[pair]
        elif (a_in and b_out) or (a_out and b_in):
            agreement -= affinity[pair]
    return Fraction(agreement, 16384 * informative) if informative else Fraction(0)


def patch_affinity(
    a: Patch, b: Patch, affinity: Consensus, shape: tuple[int, ...], options: PatchPerPix
) -> tuple[Fraction, int]:
    """Eq 6."""
    total = count = 0
    for v in a.members.tolist():
        for w in b.members.tolist():
            pair = (min(v, w), max(v, w))
            seen = pair in affinity and (v != w or options.self_pairs)
            total += affinity[pair] if seen else 0
            if options.paff_count == "observed":
                count += seen
            else:
                low, high = (np.unravel_index(n, shape) for n in pair)
                step = [int(h) - int(low_) for low_, h in zip(low, high, strict=True)]
                count += all(1 - n <= s <= (n if n > 1 else 0) for s, n in zip(step, options.patch, strict=True))
    return (Fraction(total, 16384 * count) if count else Fraction(0)), count


def assemble(probabilities, foreground, options: PatchPerPix, crowded=None):
    """Scores by centre, selected centres, `{pair: (paff, Z_paff)}`, clusters, instances as sets of pixels."""
    found = patches(probabilities, foreground, options, crowded)
    affinity, _ = consensus(found, options)
    scores = [score(x, affinity) for x in found]
    order = literal.rank(found, scores)
    wanted = set(np.flatnonzero(foreground).tolist())
    taken = literal.cover(found, order, wanted, options) if options.select else order
    if options.select and options.thin:
        taken = literal.thin(found, taken, order, wanted)
    nodes = sorted(found[k].centre for k in taken)
    by_centre = {x.centre: x for x in found}
    edges = {
        pair: patch_affinity(by_centre[pair[0]], by_centre[pair[1]], affinity, foreground.shape, options)
        for pair in combinations(nodes, 2)
    }
    edges = {pair: edge for pair, edge in edges.items() if edge[1]}
    weights = {pair: weight for pair, (weight, _) in edges.items()}
    clusters = getattr(literal, options.partition)(nodes, weights)
    instances = literal.label(found, order, clusters, options)
    return dict(zip((x.centre for x in found), scores, strict=True)), nodes, edges, clusters, instances
