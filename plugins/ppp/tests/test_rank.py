"""What is decided by order and by bits: ranking, numbering, what a patch covers."""

from __future__ import annotations

from fractions import Fraction

import mwatershed
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toolkit_ppp import partition as partitions
from toolkit_ppp.bits import canvas, gain, pack
from toolkit_ppp.graph import Edges
from toolkit_ppp.joined import Graph
from toolkit_ppp.partition import partition
from toolkit_ppp.rank import order

MOST = 2**30 - 3
UNIT = 16384


@st.composite
def scores(draw: st.DrawFn) -> list[tuple[int, int]]:
    """Numerators and denominators: any, equal ones of other terms, and neighbours that no double tells apart."""
    found = []
    for _ in range(draw(st.integers(1, 6))):
        n = draw(st.integers(1, MOST) | st.integers(2**28, MOST))
        found.append((draw(st.integers(-UNIT * n, UNIT * n)), n))
        whole = draw(st.integers(-UNIT, UNIT - 1))
        found += [(whole * (m + 1) + m, m + 1) for m in (n, n + 1)]
        small, times = draw(st.integers(1, 1000)), draw(st.integers(1, 1000))
        found += [(small * k, 1001 * k) for k in (1, times)]
    return draw(st.permutations(found))


@pytest.mark.parametrize("how", ["mutex", "components"])
@pytest.mark.parametrize("seed", range(4))
def test_a_graph_is_partitioned_in_portions_as_at_once(how: str, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(seed)
    first = rng.integers(0, 300, 220)
    ends = np.unique(np.stack([first, first + rng.integers(1, 4, 220)], axis=1), axis=0)
    edges = Edges(*(7 * ends).T, rng.integers(-9, 10, len(ends)), np.ones(len(ends), np.int64))
    nodes = 7 * np.arange(304)
    graph = Graph.of([edges], nodes)
    at_once = partition(len(nodes), graph, how)
    monkeypatch.setattr(partitions, "AT_ONCE", 5)
    asked: list[int] = []
    cluster = mwatershed.cluster
    monkeypatch.setattr(mwatershed, "cluster", lambda given: asked.append(len(given)) or cluster(given))
    assert partition(len(nodes), graph, how).tolist() == at_once.tolist()
    assert len(asked) > 10
    assert len(set(at_once.tolist())) < 280


@given(st.integers(0, 10**6))
def test_a_graph_has_the_sums_of_its_parts(seed: int) -> None:
    rng = np.random.default_rng(seed)
    centres = np.sort(rng.choice(10**12, 12, replace=False))
    parts, sums = [], {}
    for size in rng.integers(0, 30, 4).tolist():
        ends = np.sort(rng.permuted(np.tile(np.arange(12), (size, 1)), axis=1)[:, :2], axis=1)
        said = Edges(*centres[ends].T, rng.integers(-9, 10, size), rng.integers(0, 3, size))
        parts.append(said)
        for first, second, total, count in zip(*ends.T.tolist(), said.total.tolist(), said.count.tolist(), strict=True):
            if count:
                before = sums.get((first, second), (0, 0))
                sums[first, second] = (before[0] + total, before[1] + count)
    graph = Graph.of(iter(parts), centres)
    found = zip(*(end.tolist() for end in graph.nodes()), graph.total.tolist(), graph.count.tolist(), strict=True)
    assert [((a, b), (total, count)) for a, b, total, count in found] == sorted(sums.items())


@settings(max_examples=200)
@given(scores())
def test_the_order_is_that_of_fractions(given_scores: list[tuple[int, int]]) -> None:
    agreement, pairs = np.array(given_scores, np.int64).T
    exact = sorted(range(len(given_scores)), key=lambda k: (-Fraction(*given_scores[k]), k))
    assert order(agreement, pairs).tolist() == exact


def test_clusters_are_numbered_by_their_first_node() -> None:
    one = np.array([1])
    edges = Edges(np.array([9]), np.array([11]), one, one)
    assert partition(4, Graph.of([edges], np.array([3, 5, 9, 11])), "mutex").tolist() == [0, 1, 2, 2]


@given(st.integers(0, 10**6))
def test_a_patch_covers_what_its_members_cover(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shape, patch = (2, 7, 200), (1, 9, 9)
    mask = rng.random(shape) < 0.5
    members = rng.random((6, 81)) < 0.5
    words, pixels = pack(members), canvas(mask)
    for k, centre in enumerate(rng.integers(0, mask.size, 6).tolist()):
        z, y, x = np.unravel_index(centre, shape)
        covered = np.zeros((2, 7 + 8, 200 + 8), bool)
        covered[z, y : y + 9, x : x + 9] = members[k].reshape(9, 9)
        covered = covered[:, 4:-4, 4:-4]
        assert gain(pixels, words[k], centre, shape, patch, False) == (mask & covered).sum()
        assert gain(pixels, words[k], centre, shape, patch, True) == (mask & covered).sum()
        mask &= ~covered
        np.testing.assert_array_equal(pixels, canvas(mask))
