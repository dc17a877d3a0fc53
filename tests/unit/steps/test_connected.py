"""What is connected, beside what scipy says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from toolkit.steps.connected import components


def literal(i: np.ndarray, j: np.ndarray, count: int) -> np.ndarray:
    graph = coo_array((np.ones(len(i), bool), (i, j)), shape=(count, count))
    return connected_components(graph, directed=False)[1]


@given(st.integers(1, 30).flatmap(lambda n: st.tuples(
    st.just(n), st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), max_size=40))))  # fmt: skip
def test_components_are_those_of_a_graph_numbered_by_their_first(case: tuple[int, list[tuple[int, int]]]) -> None:
    count, pairs = case
    i, j = np.array(pairs, np.int64).reshape(-1, 2).T
    assert np.array_equal(components(i, j, count), literal(i, j, count))


@pytest.mark.parametrize("order", ["ascending", "descending", "by chance"])
def test_a_long_chain_is_one_component(order: str) -> None:
    things = np.arange(20_000)
    if order == "by chance":
        things = np.random.default_rng(0).permutation(things)
    i, j = (things[:-1], things[1:]) if order != "descending" else (things[:0:-1], things[-2::-1])
    assert components(i, j, len(things)).max() == 0


def test_nothing_has_no_components() -> None:
    nothing = np.zeros(0, np.int64)
    assert components(nothing, nothing, 0).shape == (0,)
    assert components(nothing, nothing, 3).tolist() == [0, 1, 2]
