from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from toolkit.values import runs

WIDTH = 10


@st.composite
def sets(draw: st.DrawFn, most: int = 25) -> tuple[np.ndarray, np.ndarray]:
    """Runs in any order that may overlap and never cross a row of WIDTH voxels."""
    rows = draw(st.lists(st.tuples(st.integers(0, 4), st.integers(0, WIDTH - 1), st.integers(1, WIDTH)), max_size=most))
    start = np.array([r * WIDTH + a for r, a, _ in rows], np.int64)
    length = np.array([min(n, WIDTH - a) for _, a, n in rows], np.int64)
    return start, length


@given(
    st.integers(1, 3).flatmap(
        lambda n: st.tuples(*[st.integers(0 if n == 1 else 1, 6)] * n).flatmap(
            lambda shape: st.lists(st.integers(-1, 2), min_size=int(np.prod(shape)), max_size=int(np.prod(shape))).map(
                lambda values: np.array(values, np.int32).reshape(shape)
            )
        )
    )
)
def test_runs_of_labels_are_maximal_and_paint_the_positive_labels(labels: np.ndarray) -> None:
    start, length, label = runs.of_labels(labels)
    painted = np.zeros(labels.size, np.int32)
    painted[runs.voxels(start, length)] = np.repeat(label, length)
    assert np.array_equal(painted.reshape(labels.shape), np.maximum(labels, 0))
    width = labels.shape[-1] or 1
    assert (start // width == (start + length - 1) // width).all()
    assert (np.diff(start) > 0).all()
    touching = (start[1:] == start[:-1] + length[:-1]) & (start[1:] % width != 0)
    assert (label[1:][touching] != label[:-1][touching]).all()


@given(sets())
def test_voxels_are_listed_run_by_run(given_runs: tuple[np.ndarray, np.ndarray]) -> None:
    start, length = given_runs
    wanted = [v for a, n in zip(start, length, strict=True) for v in range(a, a + n)]
    assert runs.voxels(start, length).tolist() == wanted


@given(sets(), st.data())
def test_uniting_keeps_the_voxels_of_each_owner_in_sorted_maximal_runs(
    given_runs: tuple[np.ndarray, np.ndarray], data: st.DataObject
) -> None:
    start, length = given_runs
    owner = np.array(data.draw(st.lists(st.integers(0, 3), min_size=len(start), max_size=len(start))), np.int64)
    united = runs.unite(start, length, owner, WIDTH)
    for k in range(4):
        before = {v for a, n in zip(start[owner == k], length[owner == k], strict=True) for v in range(a, a + n)}
        a, n = (x[united[2] == k] for x in united[:2])
        assert runs.voxels(a, n).tolist() == sorted(before)
        assert (a // WIDTH == (a + n - 1) // WIDTH).all()
        assert not ((a[1:] == (a + n)[:-1]) & (a[1:] % WIDTH != 0)).any()


@given(sets(), sets(), st.integers(1, 7))
def test_overlaps_are_those_found_by_trying_all_pairs(
    a: tuple[np.ndarray, np.ndarray], b: tuple[np.ndarray, np.ndarray], chunk: int
) -> None:
    found = {}
    for i, j, shared in runs.overlaps(*a, *b, chunk=chunk):
        for key in zip(i.tolist(), j.tolist(), shared.tolist(), strict=True):
            assert key[:2] not in found
            found[key[:2]] = key[2]
    wanted = {}
    for i, (p, n) in enumerate(zip(*a, strict=True)):
        for j, (q, m) in enumerate(zip(*b, strict=True)):
            shared = min(p + n, q + m) - max(p, q)
            if shared > 0:
                wanted[i, j] = shared
    assert found == wanted


@given(sets(), sets())
def test_the_size_of_a_chunk_changes_nothing(a: tuple[np.ndarray, ...], b: tuple[np.ndarray, ...]) -> None:
    small, large = (
        sorted(tuple(map(int, row)) for part in runs.overlaps(*a, *b, chunk=n) for row in zip(*part, strict=True))
        for n in (1, 10**6)
    )
    assert small == large


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 3)), unique_by=lambda pair: pair[0]))
def test_runs_of_voxels_are_maximal_and_hold_the_voxels(pairs: list[tuple[int, int]]) -> None:
    index, label = np.array(sorted(pairs), np.int64).reshape(-1, 2).T
    start, length, owner = runs.of_voxels(index, label, WIDTH)
    assert np.array_equal(runs.voxels(start, length), index)
    assert np.array_equal(np.repeat(owner, length), label)
    assert (start // WIDTH == (start + length - 1) // WIDTH).all()
    meets = (start[1:] == (start + length)[:-1]) & (start[1:] % WIDTH > 0)
    assert not (meets & (owner[1:] == owner[:-1])).any()


@given(sets(), sets())
def test_shared_voxels_are_counted_once_per_pair_of_owners(
    a: tuple[np.ndarray, np.ndarray], b: tuple[np.ndarray, np.ndarray]
) -> None:
    # No runs of one owner overlap: each is an owner of its own.
    mine, theirs = ((start, length, np.arange(len(start))) for start, length in (a, b))
    found = list(zip(*(x.tolist() for x in runs.shared(mine, theirs, len(b[0]))), strict=True))
    sets_of = [[set(runs.voxels(s[k : k + 1], n[k : k + 1]).tolist()) for k in range(len(s))] for s, n in (a, b)]
    expected = [(i, j, len(p & q)) for i, p in enumerate(sets_of[0]) for j, q in enumerate(sets_of[1]) if p & q]
    assert found == expected
